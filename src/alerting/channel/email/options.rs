//! Defines the options of an e-mail channel.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::super::TemplateFiles;
use crate::privacy::Secret;
use crate::settings::setters;

/// An e-mail channel: one mail server and several recipients, with a mail for each.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct EmailOptions {
    /// The name of the mail server, which its certificate must have.
    pub host: String,
    /// The port of the mail server. Default: 587.
    pub port: u16,
    /// The encryption of the connection. Default: [`Encryption::Implicit`] for port 465, else
    /// [`Encryption::StartTls`].
    pub encryption: Option<Encryption>,
    /// The user name of the login; `None` for no login.
    pub username: Option<String>,
    /// The password of the login.
    pub password: Option<Secret>,
    /// The sender: `alerts@example.com` or `Alerts <alerts@example.com>`.
    pub from: String,
    /// The recipients, in the same form.
    pub to: Vec<String>,
    /// The name of this host in the SMTP greeting. Default: the domain of `from`.
    pub hello_name: Option<String>,
    /// Certificate authorities to trust instead of the platform's, as DER.
    #[serde(skip)]
    pub authorities: Vec<Vec<u8>>,
    /// Time for one delivery, at most 28 s: an attempt has 30 s, and an interrupted delivery may come twice. Default:
    /// 20 s.
    pub timeout: Duration,
    /// The maximum number of concurrent connections to the server, for all recipients. Default: 4.
    pub max_connections: usize,
    /// The maximum number of listed alerts in one mail. Default: 20.
    pub max_alerts: usize,
    /// Templates for `subject`, `text` and `html`; see `docs/alert-templates.md`.
    pub templates: BTreeMap<String, String>,
    /// Files whose templates this channel's templates can call. Default: the files of the configuration.
    #[serde(skip)]
    pub template_files: TemplateFiles,
}

/// The encryption of the connection to a mail server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// TLS from the first byte, as on port 465.
    Implicit,
    /// TLS after a plain greeting. A server without STARTTLS gets no mail.
    ///
    /// An attacker on the network can insert answers before TLS begins, and lettre 0.11 reads these answers after the
    /// start of TLS: the attacker can make a mail fail or seem delivered, but cannot read the mail or the password.
    /// [`Encryption::Implicit`] is not affected: prefer port 465 if the server has it, as RFC 8314 does.
    StartTls,
    /// No encryption. A password is refused, except for a server on this machine.
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
            template_files: TemplateFiles::default(),
        }
    }
}

impl EmailOptions {
    /// Creates the default options for this server and these addresses.
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

    setters! {
        /// Sets the port.
        with_port(port: u16) { self.port = port }

        /// Sets the encryption, independent of the port.
        with_encryption(encryption: Encryption) { self.encryption = Some(encryption) }
    }

    /// Sets user name and password.
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

    setters! {
        /// Sets the name of this host in the SMTP greeting.
        with_hello_name(name: impl Into<String>) { self.hello_name = Some(name.into()) }

        /// Adds a certificate authority to trust instead of the platform's.
        with_authority(der: Vec<u8>) { self.authorities.push(der) }

        /// Sets the time for one delivery.
        with_timeout(timeout: Duration) { self.timeout = timeout }

        /// Sets the maximum number of concurrent connections.
        with_max_connections(max_connections: usize) { self.max_connections = max_connections }

        /// Sets the maximum number of listed alerts in one mail.
        with_max_alerts(max_alerts: usize) { self.max_alerts = max_alerts }

        /// Sets the files whose templates this channel's templates can call.
        with_template_files(files: TemplateFiles) { self.template_files = files }

        /// Replaces a text by a template.
        with_template(text: impl Into<String>, source: impl Into<String>) {
            self.templates.insert(text.into(), source.into())
        }
    }

    /// The encryption of the connection, by the option or the port.
    #[must_use]
    pub fn effective_encryption(&self) -> Encryption {
        match (self.encryption, self.port) {
            (Some(encryption), _) => encryption,
            (None, 465) => Encryption::Implicit,
            (None, _) => Encryption::StartTls,
        }
    }
}
