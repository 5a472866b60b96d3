//! The built-in client: sends a workload to the router over real HTTP as an open loop, and records the results.

mod request;
mod workload;

use std::error::Error;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use indicatif::ProgressBar;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use self::request::Plan;
pub(crate) use self::request::{Ending, RequestResult};
pub(crate) use self::workload::Workload;
use crate::cli::Speed;
use crate::ledger::MAX_RECORDED_REQUESTS;

/// The maximum number of requests in flight. Each request needs two file descriptors of this process (one for each
/// end), and many systems allow 1,024. At this limit the next request waits: the loop is then no longer open, and the
/// report notes it.
const MAX_IN_FLIGHT: usize = 384;

/// The requests to send, and the options of the client.
#[derive(Debug)]
pub(crate) struct Traffic {
    pub(crate) server: SocketAddr,
    pub(crate) workload: Workload,
    pub(crate) requests: Option<u64>,
    pub(crate) exit_after: Option<Duration>,
    pub(crate) speed: Speed,
    pub(crate) disconnect_rate: f64,
    pub(crate) seed: u64,
    /// True if each word is one token, as with the embedded engines; other servers count tokens in their own way.
    pub(crate) counts_words: bool,
}

/// The results of the requests.
#[derive(Debug, Default)]
pub(crate) struct ClientResults {
    pub(crate) seen: Vec<RequestResult>,
    /// The number of requests beyond those that are recorded individually.
    pub(crate) unrecorded: u64,
    /// The number of requests that were delayed because too many were in flight.
    pub(crate) delayed: u64,
}

/// The state of the client; cheap to clone.
#[derive(Debug, Clone)]
struct Client {
    http: reqwest::Client,
    url: String,
    counts_words: bool,
    /// Becomes true when the user interrupts the run: all requests in flight are then aborted.
    interrupted: watch::Receiver<bool>,
}

impl Traffic {
    /// Sends all requests, and waits for the last response.
    ///
    /// # Errors
    ///
    /// Returns an error if the router's models cannot be listed, or if a task of the client panicked.
    pub(crate) async fn send(
        mut self,
        progress: &ProgressBar,
        interrupted: watch::Receiver<bool>,
    ) -> Result<ClientResults, Box<dyn Error + Send + Sync>> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let models = list_models(&http, self.server).await?;
        let url = format!("http://{}/v1/chat/completions", self.server);
        let client = Client {
            http,
            url,
            counts_words: self.counts_words,
            interrupted: interrupted.clone(),
        };

        let mut memory = ClientResults::default();
        let mut under_way = JoinSet::new();
        let mut stop = pin!(stop(self.exit_after, interrupted));
        let started = Instant::now();
        for number in 0..self.requests.unwrap_or(u64::MAX) {
            let Some(arrival) = self.workload.next() else {
                break;
            };
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = sleep_until(started + self.speed.scale(arrival.at)) => {}
            }
            while let Some(done) = under_way.try_join_next() {
                memory.remember(done, progress)?;
            }
            if under_way.len() >= MAX_IN_FLIGHT {
                memory.delayed += 1;
                if let Some(done) = under_way.join_next().await {
                    memory.remember(done, progress)?;
                }
            }
            let plan = Plan::draw(number, arrival, &models, &self);
            under_way.spawn(client.clone().make(plan));
        }
        while let Some(done) = under_way.join_next().await {
            memory.remember(done, progress)?;
        }
        Ok(memory)
    }
}

impl ClientResults {
    fn remember(
        &mut self,
        done: Result<RequestResult, JoinError>,
        progress: &ProgressBar,
    ) -> Result<(), JoinError> {
        let seen = done?;
        progress.inc(1);
        if seen.number < MAX_RECORDED_REQUESTS {
            self.seen.push(seen);
        } else {
            self.unrecorded += 1;
        }
        Ok(())
    }
}

/// Returns when no more requests are to be sent.
async fn stop(exit_after: Option<Duration>, mut interrupted: watch::Receiver<bool>) {
    tokio::select! {
        () = sleep(exit_after.unwrap_or(Duration::MAX)) => {}
        _ = interrupted.wait_for(|interrupted| *interrupted) => {}
    }
}

async fn list_models(
    http: &reqwest::Client,
    server: SocketAddr,
) -> Result<Vec<String>, Box<dyn Error + Send + Sync>> {
    let list: Value = http
        .get(format!("http://{server}/v1/models"))
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    let models = list["data"].as_array().into_iter().flatten();
    let models: Vec<_> = models
        .filter_map(|model| model["id"].as_str())
        .map(str::to_owned)
        .collect();
    if models.is_empty() {
        return Err("the router lists no models".into());
    }
    Ok(models)
}
