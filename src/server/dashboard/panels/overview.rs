//! Panels of the overview.

use super::{Draw, Panel, Query, Threshold, Unit, View, query};

const fn tile(
    id: &'static str,
    texts: (&'static str, &'static str),
    unit: Unit,
    queries: &'static [Query],
) -> Panel {
    Panel::new((View::Overview, Draw::Tile), id, texts, unit).queries(queries)
}

const fn lines(
    id: &'static str,
    texts: (&'static str, &'static str),
    unit: Unit,
    queries: &'static [Query],
) -> Panel {
    Panel::new((View::Overview, Draw::Lines), id, texts, unit).queries(queries)
}

// A service without the HTTP middleware has inferences only, so its tiles count these.
pub(super) const PANELS: &[Panel] = &[
    tile(
        "tile_requests",
        (
            "Requests",
            "How many requests does the service answer per second?",
        ),
        Unit::PerSecond,
        &[query(
            "requests",
            "sum(rate($Phttp_requests_total[$W]$O)) or sum(rate($Pmodel_inference_total[$W]$O))",
        )],
    ),
    tile(
        "tile_errors",
        (
            "Errors",
            "Which share of the requests fails on the service's side?",
        ),
        Unit::Ratio,
        &[query(
            "errors",
            "(sum(rate($Phttp_requests_total{status_code=~\"5..\"}[$W]$O)) or vector(0)) / sum(rate($Phttp_requests_total[$W]$O)) or (sum(rate($Pmodel_inference_total{status=~\"error|timeout\"}[$W]$O)) or vector(0)) / sum(rate($Pmodel_inference_total[$W]$O))",
        )],
    ),
    tile(
        "tile_p95",
        ("Latency p95", "Within which time do 95 % of the requests end?"),
        Unit::Seconds,
        &[query(
            "p95",
            "histogram_quantile(0.95, sum by (le) (rate($Phttp_request_duration_seconds_bucket[$W]$O)) or sum by (le) (rate($Pmodel_inference_duration_seconds_bucket[$W]$O)))",
        )],
    ),
    tile(
        "tile_first_token",
        (
            "First token p95",
            "Within which time do 95 % of the inferences give their first token?",
        ),
        Unit::Seconds,
        &[query(
            "p95",
            "histogram_quantile(0.95, sum by (le) (rate($Ptime_to_first_token_seconds_bucket[$W]$O)))",
        )],
    ),
    tile(
        "tile_tokens",
        (
            "Output tokens",
            "How many tokens do all models generate per second?",
        ),
        Unit::TokensPerSecond,
        &[query("tokens", "sum(rate($Ptokens_generated_total[$W]$O))")],
    ),
    tile(
        "tile_in_flight",
        ("In flight", "How many inferences run now?"),
        Unit::Count,
        &[query("inferences", "sum($Pactive_inferences$O)")],
    ),
    Panel::new(
        (View::Overview, Draw::Stack),
        "requests",
        (
            "Requests by status",
            "How much traffic is there, and how is it answered?",
        ),
        Unit::PerSecond,
    )
    .queries(&[query(
        "{{status_code}}",
        "sum by (status_code) (rate($Phttp_requests_total[$W]))",
    )])
    .width(12),
    lines(
        "latency",
        ("Request latency", "How long do requests take?"),
        Unit::Seconds,
        &[
            query(
                "p50",
                "histogram_quantile(0.5, sum by (le) (rate($Phttp_request_duration_seconds_bucket[$W])))",
            ),
            query(
                "p95",
                "histogram_quantile(0.95, sum by (le) (rate($Phttp_request_duration_seconds_bucket[$W])))",
            ),
            query(
                "p99",
                "histogram_quantile(0.99, sum by (le) (rate($Phttp_request_duration_seconds_bucket[$W])))",
            ),
        ],
    ),
    lines(
        "first_token_by_model",
        (
            "Time to first token p95",
            "Which model lets its callers wait?",
        ),
        Unit::Seconds,
        &[query(
            "{{model_id}}",
            "histogram_quantile(0.95, sum by (model_id, le) (rate($Ptime_to_first_token_seconds_bucket[$W])))",
        )],
    ),
    Panel::new(
        (View::Overview, Draw::Stack),
        "inferences_by_model",
        ("Inferences by model", "Which models carry the traffic?"),
        Unit::PerSecond,
    )
    .queries(&[query(
        "{{model_id}}",
        "sum by (model_id) (rate($Pmodel_inference_total[$W]))",
    )]),
    Panel::new(
        (View::Overview, Draw::Stack),
        "tokens_by_model",
        ("Output tokens by model", "Which models generate the tokens?"),
        Unit::TokensPerSecond,
    )
    .queries(&[query(
        "{{model_id}}",
        "sum by (model_id) (rate($Ptokens_generated_total[$W]))",
    )]),
    Panel::new(
        (View::Overview, Draw::Stack),
        "errors",
        ("Errors by class", "What fails, and in which component?"),
        Unit::PerSecond,
    )
    .queries(&[query(
        "{{error_type}} in {{component}}",
        "sum by (error_type, component) (rate($Perrors_total[$W])) > 0",
    )])
    .empty("Nothing failed in this range."),
    lines(
        "saturation",
        (
            "Use of the machine",
            "Is the machine, or its memory, used up?",
        ),
        Unit::Ratio,
        &[
            query("CPU of the machine", "system_cpu_usage_ratio"),
            query(
                "memory of the machine",
                "sum(system_memory_bytes{state=\"used\"}) / sum(system_memory_bytes{state=\"total\"})",
            ),
            query(
                "disk {{mount}}",
                "sum by (mount) (system_disk_bytes{state=\"used\"}) / sum by (mount) (system_disk_bytes{state=\"total\"})",
            ),
        ],
    )
    .thresholds(&[Threshold {
        label: "full",
        value: 1.0,
    }]),
];
