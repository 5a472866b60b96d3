//! Counts inferences and responses where they happen, independently of all monitoring.
//!
//! The engines and response bodies update the ledger with plain atomics and `Drop`, so it is exact: an [`Account`] is
//! closed at the moment its answer ends or is abandoned. At the end of a run, the ledger is compared with the results
//! of the client and with `/metrics`.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::models::Model;

/// The number of requests that are recorded individually, to be joined with the client's results; 24 bytes each.
pub(crate) const MAX_RECORDED_REQUESTS: u64 = 1_000_000;

/// The outcome of an inference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Success,
    Error,
    Timeout,
    Cancelled,
}

/// The end of a request of the built-in client, as the server saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Inference {
        outcome: Outcome,
        prompt_tokens: u32,
        output_tokens: u32,
    },
    CacheHit,
}

/// The counts of the server.
#[derive(Debug)]
pub(crate) struct Ledger {
    models: BTreeMap<String, ModelAccount>,
    pub(crate) cache_hits: AtomicU64,
    pub(crate) cache_misses: AtomicU64,
    pub(crate) routing_decisions: AtomicU64,
    responses: Mutex<BTreeMap<u16, u64>>,
    open_exchanges: AtomicUsize,
    requests: Mutex<HashMap<u64, Ended>>,
}

/// The sums of one model, by outcome.
#[derive(Debug, Default)]
struct ModelAccount([Sums; 4]);

#[derive(Debug, Default)]
struct Sums {
    inferences: AtomicU64,
    prompt_tokens: AtomicU64,
    output_tokens: AtomicU64,
}

/// The sums of one model and outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) inferences: u64,
    pub(crate) prompt_tokens: u64,
    pub(crate) output_tokens: u64,
}

/// One inference in progress. It is closed when dropped, as cancelled unless [`Account::end`] set another outcome.
#[derive(Debug)]
pub(crate) struct Account {
    ledger: Arc<Ledger>,
    model: String,
    request: Option<u64>,
    outcome: Outcome,
    prompt_tokens: u32,
    output_tokens: u32,
}

/// One HTTP exchange, open until its response body is dropped.
#[derive(Debug)]
pub(crate) struct OpenExchange(Arc<Ledger>);

impl Outcome {
    pub(crate) const ALL: [Self; 4] = [Self::Success, Self::Error, Self::Timeout, Self::Cancelled];

    /// Returns the name in spans and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Ledger {
    pub(crate) fn new(models: &[Arc<Model>]) -> Self {
        let models = models
            .iter()
            .map(|model| (model.id.clone(), ModelAccount::default()));
        Self {
            models: models.collect(),
            cache_hits: AtomicU64::new(0),
            cache_misses: AtomicU64::new(0),
            routing_decisions: AtomicU64::new(0),
            responses: Mutex::default(),
            open_exchanges: AtomicUsize::new(0),
            requests: Mutex::default(),
        }
    }

    /// Opens the account of an inference; `request` is the built-in client's number, if the request is from it.
    pub(crate) fn open(
        self: &Arc<Self>,
        model: &Model,
        request: Option<u64>,
        prompt_tokens: u32,
    ) -> Account {
        Account {
            ledger: Arc::clone(self),
            model: model.id.clone(),
            request,
            outcome: Outcome::Cancelled,
            prompt_tokens,
            output_tokens: 0,
        }
    }

    pub(crate) fn open_exchange(self: &Arc<Self>) -> OpenExchange {
        self.open_exchanges.fetch_add(1, Ordering::SeqCst);
        OpenExchange(Arc::clone(self))
    }

    /// Returns the number of response bodies that have not ended.
    pub(crate) fn open_exchanges(&self) -> usize {
        self.open_exchanges.load(Ordering::SeqCst)
    }

    pub(crate) fn count_response(&self, status_code: u16) {
        *lock(&self.responses).entry(status_code).or_default() += 1;
    }

    pub(crate) fn responses(&self) -> BTreeMap<u16, u64> {
        lock(&self.responses).clone()
    }

    /// Counts a cache lookup.
    pub(crate) fn count_lookup(&self, request: Option<u64>, ended: Option<Ended>) {
        let counter = if ended.is_some() {
            &self.cache_hits
        } else {
            &self.cache_misses
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if let Some(ended) = ended {
            self.remember(request, ended);
        }
    }

    /// Returns the names of all models.
    pub(crate) fn models(&self) -> impl Iterator<Item = &str> {
        self.models.keys().map(String::as_str)
    }

    /// Returns the sums of `model` for `outcome`.
    pub(crate) fn totals(&self, model: &str, outcome: Outcome) -> Totals {
        self.models
            .get(model)
            .map_or_else(Totals::default, |account| {
                let sums = &account.0[outcome as usize];
                Totals {
                    inferences: sums.inferences.load(Ordering::SeqCst),
                    prompt_tokens: sums.prompt_tokens.load(Ordering::SeqCst),
                    output_tokens: sums.output_tokens.load(Ordering::SeqCst),
                }
            })
    }

    /// Returns the end of the built-in client's request `number`; `None` if it never arrived.
    pub(crate) fn request(&self, number: u64) -> Option<Ended> {
        lock(&self.requests).get(&number).copied()
    }

    fn remember(&self, request: Option<u64>, ended: Ended) {
        if let Some(number) = request.filter(|number| *number < MAX_RECORDED_REQUESTS) {
            lock(&self.requests).insert(number, ended);
        }
    }
}

impl Account {
    pub(crate) fn add_output(&mut self, tokens: u32) {
        self.output_tokens += tokens;
    }

    pub(crate) fn output_tokens(&self) -> u32 {
        self.output_tokens
    }

    pub(crate) fn end(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(account) = self.ledger.models.get(&self.model) {
            let sums = &account.0[self.outcome as usize];
            sums.inferences.fetch_add(1, Ordering::SeqCst);
            sums.prompt_tokens
                .fetch_add(self.prompt_tokens.into(), Ordering::SeqCst);
            sums.output_tokens
                .fetch_add(self.output_tokens.into(), Ordering::SeqCst);
        }
        let Self {
            outcome,
            prompt_tokens,
            output_tokens,
            ..
        } = *self;
        self.ledger.remember(
            self.request,
            Ended::Inference {
                outcome,
                prompt_tokens,
                output_tokens,
            },
        );
    }
}

impl Drop for OpenExchange {
    fn drop(&mut self) {
        self.0.open_exchanges.fetch_sub(1, Ordering::SeqCst);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
