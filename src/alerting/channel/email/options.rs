//! What an e-mail channel can be told.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::privacy::Secret;

/// An e-mail channel: one mail server, several recipients, each told on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmailOptions {
    /// The mail server: a name, since its certificate is checked against it.
    pub host: String,
    /// Its port. Default: 587.
    pub port: u16,
    /// How the connection is protected. Default: by the port, [`Encryption::Implicit`] for 465, else
    /// [`Encryption::StartTls`].
    pub encryption: Option<Encryption>,
    /// Who logs in; `None` for nobody.
    pub username: Option<String>,
    /// With which password.
    pub password: Option<Secret>,
    /// Who it is from: `alerts@example.com` or `Alerts <alerts@example.com>`.
    pub from: String,
    /// Who gets it, in the same form.
    pub to: Vec<String>,
    /// How we call ourselves to the server. Default: the domain of `from`.
    pub hello_name: Option<String>,
    /// Authorities to trust instead of the platform's, as DER.
    pub authorities: Vec<Vec<u8>>,
    /// Time for one delivery, at most 28 s: an attempt has 30 s, and one that is cut off comes twice. Default: 20 s.
    pub timeout: Duration,
    /// Connections to the server at once, whatever the number of recipients. Default: 4.
    pub max_connections: usize,
    /// Alerts that are listed in one mail at most. Default: 20.
    pub max_alerts: usize,
    /// Templates for `subject`, `text` and `html`; see `docs/alert-templates.md`.
    pub templates: BTreeMap<String, String>,
}

/// How the connection to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// TLS from the first byte, as on port 465.
    Implicit,
    /// TLS after a plain greeting; a server that does not offer it gets no mail.
    ///
    /// Somebody between us and the server can slip answers of theirs in before TLS begins, and lettre 0.11 reads them
    /// as if they had come after it: they can make a mail fail or seem delivered, but not read it or the password.
    /// [`Encryption::Implicit`] has no such moment: prefer port 465 where the server has it (RFC 8314 does, too).
    StartTls,
    /// None. A password is refused with it, except for a server on this machine.
    None,
}

impl Default for EmailOptions {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 587,
            encryption: None,
            username: None,
            password: None,
            from: String::new(),
            to: Vec::new(),
            hello_name: None,
            authorities: Vec::new(),
            timeout: Duration::from_secs(20),
            max_connections: 4,
            max_alerts: 20,
            templates: BTreeMap::new(),
        }
    }
}

impl EmailOptions {
    /// The defaults, for this server and these addresses.
    #[must_use]
    pub fn new<S: Into<String>>(
        host: impl Into<String>,
        from: impl Into<String>,
        to: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            host: host.into(),
            from: from.into(),
            to: to.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Sets the port.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets how the connection is protected, whatever the port.
    #[must_use]
    pub fn with_encryption(mut self, encryption: Encryption) -> Self {
        self.encryption = Some(encryption);
        self
    }

    /// Logs in.
    #[must_use]
    pub fn with_login(
        mut self,
        username: impl Into<String>,
        password: impl Into<Arc<str>>,
    ) -> Self {
        self.username = Some(username.into());
        self.password = Some(Secret::new(password));
        self
    }

    /// Sets how we call ourselves to the server.
    #[must_use]
    pub fn with_hello_name(mut self, name: impl Into<String>) -> Self {
        self.hello_name = Some(name.into());
        self
    }

    /// Trusts this authority instead of the platform's.
    #[must_use]
    pub fn with_authority(mut self, der: Vec<u8>) -> Self {
        self.authorities.push(der);
        self
    }

    /// Sets the time for one delivery.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Opens at most so many connections at once.
    #[must_use]
    pub fn with_max_connections(mut self, max_connections: usize) -> Self {
        self.max_connections = max_connections;
        self
    }

    /// Lists at most so many alerts in one mail.
    #[must_use]
    pub fn with_max_alerts(mut self, max_alerts: usize) -> Self {
        self.max_alerts = max_alerts;
        self
    }

    /// Uses a template for a text.
    #[must_use]
    pub fn with_template(mut self, text: impl Into<String>, source: impl Into<String>) -> Self {
        self.templates.insert(text.into(), source.into());
        self
    }

    /// How the connection is protected.
    #[must_use]
    pub fn effective_encryption(&self) -> Encryption {
        match (self.encryption, self.port) {
            (Some(encryption), _) => encryption,
            (None, 465) => Encryption::Implicit,
            (None, _) => Encryption::StartTls,
        }
    }
}
