//! The built-in client: sends a workload to the router over real HTTP, open-loop, and remembers what it saw.

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
pub(crate) use self::request::{Ending, Seen};
pub(crate) use self::workload::Workload;
use crate::cli::Speed;
use crate::ledger::REMEMBERED_REQUESTS;

/// Requests under way at most. Each needs two file descriptors of this process (both ends), and many
/// systems allow 1,024. When it is reached, the next request waits: the loop is then no longer open,
/// which the report says.
const MOST_IN_FLIGHT: usize = 384;

/// What to send, and how.
#[derive(Debug)]
pub(crate) struct Traffic {
    pub(crate) server: SocketAddr,
    pub(crate) workload: Workload,
    pub(crate) requests: Option<u64>,
    pub(crate) exit_after: Option<Duration>,
    pub(crate) speed: Speed,
    pub(crate) disconnect_rate: f64,
    pub(crate) seed: u64,
    /// Embedded engines make one word per token; other servers' tokens are theirs to count.
    pub(crate) counts_words: bool,
}

/// What the client saw.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) seen: Vec<Seen>,
    /// Requests beyond those that are remembered one by one.
    pub(crate) forgotten: u64,
    /// Requests that were late because too many were under way.
    pub(crate) held_back: u64,
}

/// One client, cheap to clone.
#[derive(Debug, Clone)]
struct Client {
    http: reqwest::Client,
    url: String,
    counts_words: bool,
    /// Turns true when the user wants no more: everything under way is given up.
    interrupted: watch::Receiver<bool>,
}

impl Traffic {
    /// Sends everything, and waits for the last answer.
    ///
    /// # Errors
    ///
    /// The server's models could not be listed, or a task of the client panicked.
    pub(crate) async fn send(
        mut self,
        progress: &ProgressBar,
        interrupted: watch::Receiver<bool>,
    ) -> Result<Memory, Box<dyn Error + Send + Sync>> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let models = list_models(&http, self.server).await?;
        let url = format!("http://{}/v1/chat/completions", self.server);
        let client = Client {
            http,
            url,
            counts_words: self.counts_words,
            interrupted: interrupted.clone(),
        };

        let mut memory = Memory::default();
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
            if under_way.len() >= MOST_IN_FLIGHT {
                memory.held_back += 1;
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

impl Memory {
    fn remember(
        &mut self,
        done: Result<Seen, JoinError>,
        progress: &ProgressBar,
    ) -> Result<(), JoinError> {
        let seen = done?;
        progress.inc(1);
        if seen.number < REMEMBERED_REQUESTS {
            self.seen.push(seen);
        } else {
            self.forgotten += 1;
        }
        Ok(())
    }
}

/// Ends when no more requests are to be sent.
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
        return Err("the router offers no models".into());
    }
    Ok(models)
}
