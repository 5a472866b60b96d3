//! Delivers a mail step by step, so that an error names the failed step.

use std::{error::Error as _, fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lettre::{
    Address,
    transport::smtp::{
        Error,
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::ClientId,
    },
};
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    super::{FailureClass, NotifyError, Receipt, content::one_line},
    Encryption,
};
use crate::{net::is_tls_error, privacy::Secret, runtime::error_text::sentence};

/// Time for the end of the session.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);
/// Characters of an answer in an error.
const MAX_ANSWER_CHARS: usize = 200;

/// User name and password.
pub(super) type Login = Option<(String, Secret)>;

/// A mail server with the options of its connection.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) encryption: Encryption,
    pub(super) tls: Option<TlsParameters>,
    pub(super) hello: ClientId,
    pub(super) login: Login,
    /// The texts to hide in answers: the password, plain and as SMTP encodes it.
    pub(super) hidden: Vec<String>,
    pub(super) timeout: Duration,
}

/// A step of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Connect,
    StartTls,
    LogIn,
    Sender,
    Recipient,
    Content,
}

impl Server {
    /// Delivers a mail to one recipient.
    pub(super) async fn deliver(
        &self,
        from: &Address,
        to: &Address,
        mail: &[u8],
    ) -> Result<Receipt, NotifyError> {
        let deadline = Instant::now() + self.timeout;
        let implicit = match self.encryption {
            Encryption::Implicit => self.tls.clone(),
            Encryption::StartTls | Encryption::None => None,
        };
        let server = (self.host.as_str(), self.port);
        let connect = AsyncSmtpConnection::connect_tokio1(
            server,
            Some(self.timeout),
            &self.hello,
            implicit,
            None,
        );
        let mut connection = self.step(Step::Connect, deadline, connect).await?;
        // After a failure of this step, lettre has no connection to close.
        self.start_tls(&mut connection, deadline).await?;
        let answer = self.send(&mut connection, deadline, from, to, mail).await;
        // A failure to end the session does not change the answer.
        let _ = timeout(QUIT_TIMEOUT, connection.abort()).await;
        answer
    }

    async fn start_tls(
        &self,
        connection: &mut AsyncSmtpConnection,
        deadline: Instant,
    ) -> Result<(), NotifyError> {
        if let (Encryption::StartTls, Some(tls)) = (self.encryption, &self.tls) {
            if !connection.can_starttls() {
                let text = format!(
                    "{}:{} does not offer STARTTLS, and nothing is sent unprotected",
                    self.host, self.port
                );
                return Err(NotifyError::new(FailureClass::Other, text));
            }
            let start = connection.starttls(tls.clone(), &self.hello);
            self.step(Step::StartTls, deadline, start).await?;
        }
        Ok(())
    }

    async fn send(
        &self,
        connection: &mut AsyncSmtpConnection,
        deadline: Instant,
        from: &Address,
        to: &Address,
        mail: &[u8],
    ) -> Result<Receipt, NotifyError> {
        if let Some((username, password)) = &self.login {
            let credentials = Credentials::new(username.clone(), password.expose().to_owned());
            let login = connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials);
            self.step(Step::LogIn, deadline, login).await?;
        }
        let sender = Mail::new(Some(from.clone()), Vec::new());
        self.step(Step::Sender, deadline, connection.command(sender))
            .await?;
        let recipient = Rcpt::new(to.clone(), Vec::new());
        self.step(Step::Recipient, deadline, connection.command(recipient))
            .await?;
        // A refusal before the content means that the mail was not delivered.
        self.step(Step::Recipient, deadline, connection.command(Data))
            .await?;
        let answer = connection.message(mail);
        let answer = self.step(Step::Content, deadline, answer).await?;
        let text = format!(
            "{} {}",
            answer.code(),
            answer.first_line().unwrap_or_default()
        );
        Ok(Receipt::new(self.shown(&text)))
    }

    async fn step<T>(
        &self,
        step: Step,
        deadline: Instant,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, NotifyError> {
        if let Ok(done) = timeout_at(deadline, work).await {
            return done.map_err(|error| self.failure(step, &error));
        }
        let text = format!("{}: no answer within {:?}", self.name(step), self.timeout);
        let error = NotifyError::new(FailureClass::DeadlineExceeded, text).retryable();
        Err(with_delivery_doubt(step, error))
    }

    /// Classifies a failure: by the server's answer if there is an answer. A failure of TLS is final, another failure of
    /// the connection is retryable.
    fn failure(&self, step: Step, error: &Error) -> NotifyError {
        let name = self.name(step);
        if let Some(code) = error.status() {
            let answer = error.source().map(ToString::to_string).unwrap_or_default();
            let text = self.shown(&format!("{name}: {code} {answer}"));
            return match (error.is_transient(), step) {
                (true, _) => NotifyError::new(FailureClass::ServerError, text).retryable(),
                (false, Step::LogIn) => NotifyError::new(FailureClass::AuthError, text),
                // 530: the server wants a login first.
                (false, _) if code.to_string() == "530" => {
                    NotifyError::new(FailureClass::AuthError, text)
                }
                (false, _) => NotifyError::new(FailureClass::ClientError, text),
            };
        }
        if error.is_client() && step == Step::LogIn {
            let text = format!("{name}: the server offers neither PLAIN nor LOGIN");
            return NotifyError::new(FailureClass::AuthError, text);
        }
        // lettre wraps its errors in each other; the innermost cause has the description.
        let mut cause = error.source();
        while let Some(own) = cause.and_then(|cause| cause.downcast_ref::<Error>()) {
            cause = own.source();
        }
        let cause = self.without_secrets(&cause.map_or_else(|| error.to_string(), sentence));
        if is_tls_error(error) || error.is_tls() {
            let text = format!("TLS with {}:{} failed: {cause}", self.host, self.port);
            return NotifyError::new(FailureClass::Other, text);
        }
        let text = format!("{name}: {cause}");
        with_delivery_doubt(
            step,
            NotifyError::new(FailureClass::Other, text).retryable(),
        )
    }

    fn name(&self, step: Step) -> String {
        match step {
            Step::Connect => format!("cannot connect to {}:{}", self.host, self.port),
            Step::StartTls => format!("{}:{} does not start TLS", self.host, self.port),
            Step::LogIn => "the login failed".to_owned(),
            Step::Sender => "the sender was refused".to_owned(),
            Step::Recipient => "the recipient was refused".to_owned(),
            Step::Content => "the mail was not taken".to_owned(),
        }
    }

    /// Returns an answer of the server without secrets. The text is cut last, since half a password is a secret as well.
    pub(super) fn shown(&self, text: &str) -> String {
        one_line(&self.without_secrets(text), MAX_ANSWER_CHARS)
    }

    fn without_secrets(&self, text: &str) -> String {
        let hide = |text: String, secret: &String| text.replace(secret, "***");
        self.hidden.iter().fold(text.to_owned(), hide)
    }
}

/// Returns the password, plain and as AUTH LOGIN and AUTH PLAIN send it, the longest text first.
pub(super) fn hidden(login: &Login) -> Vec<String> {
    let Some((username, password)) = login else {
        return Vec::new();
    };
    let password = password.expose();
    let plain = format!("\0{username}\0{password}");
    let encoded = [plain.as_str(), password].map(|text| STANDARD.encode(text));
    let all = encoded.into_iter().chain([password.to_owned()]);
    all.filter(|secret| !secret.is_empty()).collect()
}

/// Marks a failure during the content: the server may have received the mail.
fn with_delivery_doubt(step: Step, error: NotifyError) -> NotifyError {
    if step == Step::Content {
        error.maybe_received()
    } else {
        error
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("encryption", &self.encryption)
            .finish_non_exhaustive()
    }
}
