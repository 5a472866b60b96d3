//! Starts a Prometheus, writes samples to it by remote write, queries it, and stops it.
//!
//! The tests use the `prometheus` on the path or the program that `PROMETHEUS` names. Debian's version is 2.42; a version 3
//! tests more.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A series for a remote write.
pub(crate) struct Series {
    pub(crate) labels: Vec<(&'static str, String)>,
    pub(crate) samples: Vec<(i64, f64)>,
}

pub(crate) struct Prometheus {
    child: Child,
    directory: PathBuf,
    base: String,
    client: reqwest::Client,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Prometheus {
    /// Returns `None` without an installed Prometheus.
    pub(crate) async fn start() -> Option<Self> {
        Self::start_with_rules(None).await
    }

    pub(crate) async fn start_with_rules(rules: Option<&str>) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let directory =
            std::env::temp_dir().join(format!("promql-differential-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let config = directory.join("prometheus.yml");
        let mut text = "global: {}\n".to_owned();
        if let Some(rules) = rules {
            let path = directory.join("rules.yml");
            std::fs::write(&path, rules).unwrap();
            text = format!(
                "global: {{evaluation_interval: 10s}}\nrule_files: [\"{}\"]\n",
                path.display()
            );
        }
        std::fs::write(&config, text).unwrap();
        let program = std::env::var("PROMETHEUS").unwrap_or_else(|_| "prometheus".to_owned());
        let child = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args([
                "--web.enable-remote-write-receiver",
                "--storage.tsdb.retention.time=100y",
                "--log.level=error",
                // Where `holt_winters` went in 3; unknown to 2.
                "--enable-feature=promql-experimental-functions",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            let _ = std::fs::remove_dir_all(&directory);
            return None;
        };
        let prometheus = Self {
            child,
            directory,
            base: format!("http://127.0.0.1:{port}"),
            client: reqwest::Client::new(),
        };
        for _ in 0..300 {
            let answer = prometheus
                .client
                .get(format!("{}/-/ready", prometheus.base))
                .send()
                .await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Some(prometheus);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("Prometheus did not become ready");
    }

    pub(crate) async fn write(&self, all: &[Series]) {
        let mut request = Vec::new();
        for series in all {
            let mut message = Vec::new();
            let mut labels: Vec<_> = series.labels.iter().collect();
            labels.sort();
            for (name, value) in labels {
                let mut label = Vec::new();
                field(&mut label, 1, name.as_bytes());
                field(&mut label, 2, value.as_bytes());
                field(&mut message, 1, &label);
            }
            for (timestamp, value) in &series.samples {
                let mut sample = vec![0x09];
                sample.extend_from_slice(&value.to_bits().to_le_bytes());
                sample.push(0x10);
                varint(&mut sample, *timestamp as u64);
                field(&mut message, 2, &sample);
            }
            field(&mut request, 1, &message);
        }
        let body = snap::raw::Encoder::new().compress_vec(&request).unwrap();
        let answer = self
            .client
            .post(format!("{}/api/v1/write", self.base))
            .header("Content-Encoding", "snappy")
            .header("Content-Type", "application/x-protobuf")
            .header("X-Prometheus-Remote-Write-Version", "0.1.0")
            .body(body)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        assert!(
            status.is_success(),
            "{status}: {}",
            answer.text().await.unwrap()
        );
    }

    /// Returns the major version, 2 or 3.
    pub(crate) async fn major_version(&self) -> u32 {
        let answer = self.get("status/buildinfo").await;
        let version = answer["data"]["version"].as_str().unwrap().to_owned();
        version.split('.').next().unwrap().parse().unwrap()
    }

    /// Requests an endpoint that only GET serves.
    pub(crate) async fn get(&self, endpoint: &str) -> serde_json::Value {
        let url = format!("{}/api/v1/{endpoint}", self.base);
        let answer = self.client.get(url).send().await.unwrap();
        answer.json().await.unwrap()
    }

    pub(crate) async fn ask(
        &self,
        endpoint: &str,
        parameters: &[(&str, &str)],
    ) -> serde_json::Value {
        let encode = |(name, value): &(&str, &str)| format!("{name}={}", percent_encoded(value));
        let body: Vec<_> = parameters.iter().map(encode).collect();
        let answer = self
            .client
            .post(format!("{}/api/v1/{endpoint}", self.base))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(body.join("&"))
            .send()
            .await
            .unwrap();
        answer.json().await.unwrap()
    }
}

fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
