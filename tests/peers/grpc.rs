//! Runs grpcio, the C implementation under Python, against the tonic example.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use super::process::{Process, free_port, get, python_with, total, wait_for};

/// Makes calls of all four kinds; prints the numbers of sent and received messages.
const SCRIPT: &str = r#"
import sys, grpc
channel = grpc.insecure_channel(sys.argv[1])
text = dict(request_serializer=str.encode, response_deserializer=bytes.decode)
unary = channel.unary_unary("/echo.Echo/Unary", **text)
stream = channel.stream_stream("/echo.Echo/Stream", **text)
for number in range(20):
    assert unary(f"hello {number}") == f"hello {number}"
codes = {}
for order in ["status:5", "status:8", "status:8", "status:13"]:
    try: unary(order)
    except grpc.RpcError as error: codes[error.code().name] = codes.get(error.code().name, 0) + 1
for name in ["/echo.Echo/None", "/random.Service/Method"]:
    try: channel.unary_unary(name, **text)("x")
    except grpc.RpcError as error: codes[error.code().name] = codes.get(error.code().name, 0) + 1
received = sum(1 for _ in stream(iter(["a", "b", "repeat:40"])))
call = stream(iter(["endless"]))
for number, _ in enumerate(call):
    if number == 4: break
call.cancel()
try: stream(iter(["endless"]), timeout=0.3).__next__() and [None for _ in stream(iter(["endless"]), timeout=0.3)]
except grpc.RpcError as error: codes[error.code().name] = codes.get(error.code().name, 0) + 1
print(received, codes["NOT_FOUND"], codes["RESOURCE_EXHAUSTED"], codes["INTERNAL"], codes["UNIMPLEMENTED"], codes["DEADLINE_EXCEEDED"])
"#;

#[test]
fn a_grpcio_client_and_the_tonic_middleware_count_the_same() {
    let Some(python) = python_with("grpc") else {
        return;
    };
    let (address, monitor) = (
        format!("127.0.0.1:{}", free_port()),
        format!("127.0.0.1:{}", free_port()),
    );
    let example = super::router::example().with_file_name("grpc_echo");
    let server = Command::new(example)
        .arg(&address)
        .env("OBSERVATORY_LISTEN", &monitor)
        .env("OBSERVATORY_PREFIX", "llm_router_")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _server = Process(server);
    let metrics = || get(&format!("http://{monitor}/metrics"));
    wait_for("the server", Duration::from_secs(20), || {
        std::net::TcpStream::connect(&address).ok()?;
        metrics()
    });
    let output = Command::new(&python)
        .args(["-c", SCRIPT, &address])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<f64> = said
        .split_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect();
    let [
        received,
        not_found,
        exhausted,
        internal,
        unimplemented,
        deadline,
    ] = numbers[..]
    else {
        panic!("{said}{}", String::from_utf8_lossy(&output.stderr));
    };
    assert_eq!((received, unimplemented, deadline), (42.0, 2.0, 1.0));
    let text = wait_for("the end of all calls", Duration::from_secs(10), || {
        metrics().filter(|text| total(text, "http_server_active_requests", "") == 0.0)
    });
    let calls = |method: &str, status: &str| {
        let labels = format!(r#"rpc_method="{method}",rpc_response_status_code="{status}""#);
        total(&text, "rpc_server_call_duration_seconds_count", &labels)
    };
    assert_eq!(calls("echo.Echo/Unary", "OK"), 20.0, "{text}");
    assert_eq!(calls("echo.Echo/Unary", "NOT_FOUND"), not_found);
    assert_eq!(calls("echo.Echo/Unary", "RESOURCE_EXHAUSTED"), exhausted);
    assert_eq!(calls("echo.Echo/Unary", "INTERNAL"), internal);
    assert_eq!(calls("_OTHER", "UNIMPLEMENTED"), unimplemented);
    assert_eq!(calls("echo.Echo/Stream", "OK"), 1.0);
    // The cancelled call, and the two calls whose deadline passed: the server sees that the caller disconnected.
    assert_eq!(calls("echo.Echo/Stream", "CANCELLED"), 3.0, "{text}");
    let messages = |direction: &str| {
        let labels = format!(r#"direction="{direction}",rpc_method="echo.Echo/Unary""#);
        total(&text, "llm_router_grpc_messages_total", &labels)
    };
    assert_eq!((messages("received"), messages("sent")), (24.0, 20.0));
}
