//! Checks the options of an e-mail channel and builds its notifiers.

use std::{collections::HashSet, net::IpAddr, sync::Arc};

use lettre::{
    message::{Mailbox, Mailboxes},
    transport::smtp::{
        client::{Certificate, CertificateStore, TlsParameters},
        extension::ClientId,
    },
};
use tokio::sync::Semaphore;

use super::{
    super::{Notifier, template::Templates},
    Email, EmailOptions, Encryption, MAX_TIMEOUT, SLOTS, Shared,
    compose::id_part,
    smtp::{Server, hidden},
};
use crate::alerting::RoutingError;

impl EmailOptions {
    /// Builds the notifiers of the channel with this name: one for each recipient. A recipient may be listed twice.
    ///
    /// # Errors
    /// If the server, an address, an authority or a template is invalid, the timeout is too long, or a password would be
    /// sent without TLS.
    pub fn build(&self, name: &str) -> Result<Vec<Arc<dyn Notifier>>, RoutingError> {
        let error = |key, problem: String| RoutingError::channel(name, key, problem);
        let host = self.host.trim();
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
            let problem = format!("is {host:?}, but must be the name of a mail server");
            return Err(error("host", problem));
        }
        let from = mailbox(&self.from).map_err(|problem| error("from", problem))?;
        if self.to.is_empty() {
            return Err(error("to", "must name a recipient".to_owned()));
        }
        let to = self.to.iter().map(|address| mailbox(address));
        let mut to = to
            .collect::<Result<Vec<Mailbox>, String>>()
            .map_err(|problem| error("to", problem))?;
        let mut addresses = HashSet::new();
        to.retain(|mailbox| addresses.insert(mailbox.email.clone()));
        if self.timeout.is_zero() || self.timeout > MAX_TIMEOUT {
            let problem = format!(
                "is {:?}, but must be above 0s and at most {MAX_TIMEOUT:?}",
                self.timeout
            );
            return Err(error("timeout", problem));
        }
        let login = self.login().map_err(|(key, problem)| error(key, problem))?;
        let tls = match self.effective_encryption() {
            Encryption::None => None,
            Encryption::Implicit | Encryption::StartTls => {
                let tls = self.tls(host);
                Some(tls.map_err(|problem| error("authorities", problem))?)
            }
        };
        let hello_name = self.hello_name.as_deref();
        let hello_name = hello_name.unwrap_or_else(|| from.email.domain());
        if hello_name.contains(|c: char| !c.is_ascii_graphic()) || hello_name.is_empty() {
            let problem = format!("is {hello_name:?}, but must be a host name");
            return Err(error("hello_name", problem));
        }
        let server = Server {
            host: host.to_owned(),
            port: self.port,
            encryption: self.effective_encryption(),
            tls,
            hello: ClientId::Domain(hello_name.to_owned()),
            hidden: hidden(&login),
            login,
            timeout: self.timeout,
        };
        let shared = Arc::new(Shared {
            from,
            to,
            channel: id_part(name),
            max_alerts: self.max_alerts,
            templates: Templates::new(name, &SLOTS, &self.templates, &self.template_files)?,
            server,
            connections: Semaphore::new(self.max_connections.clamp(1, Semaphore::MAX_PERMITS)),
        });
        let recipients = shared.to.iter().map(|to| {
            let email = Email {
                to: to.email.clone(),
                shared: Arc::clone(&shared),
            };
            Arc::new(email) as Arc<dyn Notifier>
        });
        Ok(recipients.collect())
    }

    fn login(&self) -> Result<super::smtp::Login, (&'static str, String)> {
        match (&self.username, &self.password) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(("password", "must be set, since `username` is".to_owned())),
            (None, Some(_)) => Err(("username", "must be set, since `password` is".to_owned())),
            (Some(_), Some(_))
                if self.effective_encryption() == Encryption::None && !is_local(&self.host) =>
            {
                let problem =
                    "is `none`, but must be `starttls` or `implicit` where a password is sent";
                Err(("encryption", problem.to_owned()))
            }
            (Some(username), Some(password)) => Ok(Some((username.clone(), password.clone()))),
        }
    }

    fn tls(&self, host: &str) -> Result<TlsParameters, String> {
        let mut tls = TlsParameters::builder(host.to_owned());
        if !self.authorities.is_empty() {
            tls = tls.certificate_store(CertificateStore::None);
        } else if crate::net::platform_roots().is_bundled {
            // The system store has no certificate: Mozilla's list, as in the HTTP client.
            tls = tls.certificate_store(CertificateStore::WebpkiRoots);
        }
        for (at, der) in self.authorities.iter().enumerate() {
            let certificate = Certificate::from_der(der.clone());
            tls = tls.add_root_certificate(
                certificate.map_err(|error| format!("number {}: {error}", at + 1))?,
            );
        }
        tls.build_rustls().map_err(|error| error.to_string())
    }
}

/// Parses an address. Few mail servers accept addresses beyond ASCII.
fn mailbox(text: &str) -> Result<Mailbox, String> {
    let mailbox: Mailbox = text
        .trim()
        .parse()
        .map_err(|error| format!("is {text:?}, but must be an address: {error}"))?;
    let address: &str = mailbox.email.as_ref();
    if !address.is_ascii() {
        return Err(format!(
            "is {text:?}, but must be ASCII (a domain in its `xn--` form)"
        ));
    }
    Ok(mailbox)
}

/// Splits a list of addresses at its commas. A name in quotes may have commas of its own.
pub(crate) fn recipients(list: &str) -> Vec<String> {
    if let Ok(mailboxes) = list.parse::<Mailboxes>() {
        return mailboxes.iter().map(ToString::to_string).collect();
    }
    // Building the channel reports an invalid address.
    let parts = list.split(',').map(str::trim);
    let parts = parts.filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

fn is_local(host: &str) -> bool {
    host == "localhost"
        || host
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}
