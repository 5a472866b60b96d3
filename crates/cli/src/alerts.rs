//! The commands below `alerts`.

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use crate::{
    Failure,
    output::{self, field, labels, table},
    remote::{Service, parameters},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists pending and firing alerts.
    List(Service),
    /// Shows the alerts of a rule with their labels and annotations.
    Show {
        /// The name of the rule.
        rule: String,
        #[command(flatten)]
        service: Service,
    },
    /// Acknowledges the alerts that match.
    Ack {
        /// Matchers in Alertmanager's syntax: 'alertname="high_error_rate"'.
        matchers: String,
        #[command(flatten)]
        author: Author,
        #[command(flatten)]
        service: Service,
    },
    /// Silences the alerts that match.
    Silence {
        /// Matchers in Alertmanager's syntax; all of them must match.
        #[arg(required = true)]
        matchers: Vec<String>,
        /// The duration of the silence.
        #[arg(long = "for", default_value = "1h")]
        duration: String,
        #[command(flatten)]
        author: Author,
        #[command(flatten)]
        service: Service,
    },
    /// Expires a silence.
    Expire {
        /// The id of the silence.
        id: String,
        #[command(flatten)]
        service: Service,
    },
    /// Lists alerts of the past, the latest first.
    History {
        /// Only alerts of this rule.
        #[arg(long)]
        rule: Option<String>,
        /// The maximum number of alerts.
        #[arg(long, default_value = "20")]
        limit: String,
        #[command(flatten)]
        service: Service,
    },
}

/// The author of a change.
#[derive(Debug, Args)]
pub(crate) struct Author {
    /// The name of the author, by default USER.
    #[arg(
        long,
        env = "USER",
        hide_env = true,
        hide_default_value = true,
        default_value = "llm-observatory"
    )]
    by: String,
    /// The reason, which the history keeps.
    #[arg(long, value_name = "TEXT")]
    comment: String,
}

pub(crate) async fn run(command: Command, json: bool) -> Result<(), Failure> {
    match command {
        Command::List(service) => {
            let answer = service.get("/api/v1/alerts").await?;
            print(&answer, json, list)
        }
        Command::Show { rule, service } => {
            let answer = service.get("/api/v1/alerts").await?;
            let alerts = active(&answer)
                .filter(|alert| field(alert, "/labels/alertname") == rule)
                .cloned()
                .collect::<Vec<_>>();
            if alerts.is_empty() {
                return Err(Failure::Invalid(format!(
                    "no alert of {rule:?} is pending or firing"
                )));
            }
            print(&Value::Array(alerts), json, show)
        }
        Command::Ack {
            matchers,
            author,
            service,
        } => {
            let body = json!({ "matchers": matchers, "by": author.by, "comment": author.comment });
            let path = "/api/observatory/alerts/acknowledge";
            let answer = service.change(Method::POST, path, body).await?;
            print(&answer, json, |answer| {
                format!("{}\n", changed("acknowledged", answer))
            })
        }
        Command::Silence {
            matchers,
            duration,
            author,
            service,
        } => {
            let wrong =
                |_| Failure::Invalid(format!("{duration:?} is not a duration such as `1h`"));
            let duration = humantime::parse_duration(&duration).map_err(wrong)?;
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            let body = json!({
                "matchers": matchers,
                "startsAt": ms(now),
                "endsAt": ms(now.saturating_add(duration)),
                "createdBy": author.by,
                "comment": author.comment,
            });
            let answer = service
                .change(Method::POST, "/api/observatory/silences", body)
                .await?;
            print(&answer, json, |answer| {
                format!("{}\n", changed("silenced", answer))
            })
        }
        Command::Expire { id, service } => {
            let path = format!("/api/observatory/silences/{id}");
            let answer = service.change(Method::DELETE, &path, json!({})).await?;
            print(&answer, json, |answer| {
                format!("{}\n", changed("expired", answer))
            })
        }
        Command::History {
            rule,
            limit,
            service,
        } => {
            let mut pairs = vec![("limit", limit.as_str())];
            pairs.extend(rule.as_deref().map(|rule| ("rule", rule)));
            let path = format!("/api/observatory/alerts/history?{}", parameters(&pairs));
            let answer = service.get(&path).await?;
            print(&answer, json, history)
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the end of each command")]
fn print(answer: &Value, json: bool, text: impl Fn(&Value) -> String) -> Result<(), Failure> {
    if json {
        output::json(answer);
    } else {
        out!("{}", text(answer));
    }
    Ok(())
}

fn active(answer: &Value) -> impl Iterator<Item = &Value> {
    let alerts = answer.pointer("/data/alerts").and_then(Value::as_array);
    alerts.into_iter().flatten()
}

fn list(answer: &Value) -> String {
    let row = |alert: &Value| {
        let mut rest = alert.get("labels").cloned().unwrap_or_default();
        if let Value::Object(rest) = &mut rest {
            rest.remove("alertname");
            rest.remove("severity");
        }
        vec![
            field(alert, "/state"),
            field(alert, "/labels/severity"),
            field(alert, "/labels/alertname"),
            labels(Some(&rest)),
        ]
    };
    let rows: Vec<_> = active(answer).map(row).collect();
    if rows.is_empty() {
        return "no alerts\n".to_owned();
    }
    table(&["STATE", "SEVERITY", "RULE", "LABELS"], &rows)
}

fn show(alerts: &Value) -> String {
    let mut text = String::new();
    for alert in alerts.as_array().into_iter().flatten() {
        for (name, path) in [
            ("state", "/state"),
            ("since", "/activeAt"),
            ("value", "/value"),
        ] {
            let _ = writeln!(text, "{name:14}{}", field(alert, path));
        }
        for part in ["labels", "annotations"] {
            for (name, value) in alert
                .get(part)
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                let _ = writeln!(text, "{name:14}{}", value.as_str().unwrap_or_default());
            }
        }
        text.push('\n');
    }
    text
}

/// Describes a change, and warns if a restart would lose it.
fn changed(done: &str, answer: &Value) -> String {
    let id = field(answer, "/silenceID");
    let groups = match answer.get("groups") {
        Some(Value::Array(groups)) => format!("{} groups", groups.len()),
        Some(groups) => format!("{groups} groups"),
        None => String::new(),
    };
    let subject = [id, groups].concat();
    let warning = match field(answer, "/warning") {
        warning if warning.is_empty() => String::new(),
        warning => format!("\nwarning: {warning}"),
    };
    format!("{done} {subject}").trim_end().to_owned() + &warning
}

fn history(records: &Value) -> String {
    let time = |value: &Value, path: &str| {
        let ms = value.pointer(path).and_then(Value::as_u64)?;
        let at = UNIX_EPOCH + Duration::from_millis(ms);
        Some(humantime::format_rfc3339_seconds(at).to_string())
    };
    let row = |record: &Value| {
        vec![
            time(record, "/startsAt").unwrap_or_default(),
            time(record, "/endsAt").unwrap_or_else(|| "firing".to_owned()),
            field(record, "/severity"),
            field(record, "/rule"),
        ]
    };
    let rows: Vec<_> = records.as_array().into_iter().flatten().map(row).collect();
    if rows.is_empty() {
        return "no alerts\n".to_owned();
    }
    table(&["START", "END", "SEVERITY", "RULE"], &rows)
}
