//! Tests TLS with a custom authority: accepted if it is trusted, a clear error otherwise.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use llm_observatory::{
    ClientOptions, OutgoingClient,
    alerting::{Channel, NotificationOptions, Receiver, Routing, WebhookOptions},
};

use crate::notify_support::{Directory, Process, Running, program};

/// Answers every POST with 204; prints its port first.
const SERVER: &str = "
import http.server, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers['content-length']))
        self.send_response(204)
        self.end_headers()
    def log_message(self, *args):
        pass
server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('server.pem', 'server.key')
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
";

fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .current_dir(directory)
        .args(arguments.split(' '))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn a_custom_authority_is_trusted_only_if_it_is_configured() {
    if program("openssl").is_none() || program("python3").is_none() {
        return;
    }
    let directory = Directory::new("tls");
    let path = directory.path();
    fs::write(
        path.join("extensions"),
        "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n",
    )
    .unwrap();
    openssl(
        path,
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=test-authority",
    );
    openssl(
        path,
        "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost",
    );
    openssl(
        path,
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out server.pem",
    );
    openssl(path, "x509 -in ca.pem -outform DER -out ca.der");
    let mut server = Command::new("python3")
        .current_dir(path)
        .args(["-c", SERVER])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut port = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut port)
        .unwrap();
    let _server = Process(server);

    let options =
        ClientOptions::default().with_timeouts(Duration::from_secs(2), Duration::from_secs(4));
    let trusting = options
        .clone()
        .with_authority(fs::read(path.join("ca.der")).unwrap());
    let channel = |options: &ClientOptions| {
        let client = OutgoingClient::new(options).unwrap();
        let hook = WebhookOptions::new([format!("https://127.0.0.1:{}/token", port.trim())]);
        Channel::from_notifiers(hook.build("hook", &client).unwrap())
    };
    let routing = Routing::to_receiver(Receiver::new("none", Vec::<String>::new()));
    let running = Running::start(
        NotificationOptions::new(routing),
        vec![
            ("trusting", channel(&trusting)),
            ("doubting", channel(&options)),
        ],
    );
    let trusted = running.notifications.send_test("trusting").await.unwrap();
    assert_eq!(
        trusted[0].outcome.as_ref().unwrap().answer,
        "204 No Content"
    );
    let doubted = running.notifications.send_test("doubting").await.unwrap();
    let error = doubted[0].outcome.as_ref().unwrap_err().to_string();
    assert!(
        error.contains("invalid peer certificate: UnknownIssuer"),
        "{error}"
    );
    assert!(!error.contains("token"), "{error}");
    running.stop().await;
}
