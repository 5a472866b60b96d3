//! A channel of the application: alerts are sent by code of your own. The observatory groups them, retries after
//! errors and keeps what is not yet accepted.
//!
//! `cargo run --example custom_notifier`
use llm_observatory::{
    Config, Observatory,
    alerting::{Channel, Message, Notifier, NotifyFuture, Receipt, Severity},
};

/// Prints alerts; in your service, for example, a client of your chat.
#[derive(Debug)]
struct Printer;

impl Notifier for Printer {
    /// Makes one attempt. `NotifyError::…::retryable()` asks for another attempt until the message's deadline.
    #[expect(clippy::print_stdout, reason = "the channel of the example")]
    fn notify<'a>(&'a self, message: &'a Message) -> NotifyFuture<'a> {
        Box::pin(async move {
            for alert in &message.alerts {
                println!("{} {}", alert.status.as_str(), alert.alert.name());
            }
            Ok(Receipt::new("printed"))
        })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::load()?.without_server();
    let (layer, observatory) = Observatory::builder(config)
        .channel("printer", Channel::new(Printer))
        .build()?;
    tracing_subscriber::util::SubscriberInitExt::init(
        tracing_subscriber::layer::SubscriberExt::with(tracing_subscriber::registry(), layer),
    );
    let alerts = observatory.alerts();
    alerts.trigger(
        "disk_failing",
        Severity::Error,
        "reallocated sectors",
        &[("disk", "sda")],
    )?;
    // Sends what waits for its group, in place of the 30 s of the group wait.
    observatory.shutdown_blocking();
    Ok(())
}
