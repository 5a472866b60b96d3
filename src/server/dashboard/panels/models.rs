//! Panels of models: a table of all models, and charts of the selected model.

use super::{Draw, Panel, Query, Unit, View, column, query};

const fn lines(
    id: &'static str,
    texts: (&'static str, &'static str),
    unit: Unit,
    queries: &'static [Query],
) -> Panel {
    Panel::new((View::Models, Draw::Lines), id, texts, unit).queries(queries)
}

pub(super) const PANELS: &[Panel] = &[
    Panel::new(
        (View::Models, Draw::Table),
        "models",
        ("Models", "Which model is slow, failing or busy?"),
        Unit::Count,
    )
    .queries(&[
        column("Rate", Unit::PerSecond, "sum by (model_id, engine) (rate($Pmodel_inference_total[$W]))"),
        column("Errors", Unit::Ratio, "(sum by (model_id, engine) (rate($Pmodel_inference_total{status=~\"error|timeout\"}[$W])) or 0 * sum by (model_id, engine) (rate($Pmodel_inference_total[$W]))) / (sum by (model_id, engine) (rate($Pmodel_inference_total{status!=\"cancelled\"}[$W])) > 0)"),
        column("TTFT p50", Unit::Seconds, "histogram_quantile(0.5, sum by (model_id, engine, le) (rate($Ptime_to_first_token_seconds_bucket[$W])))"),
        column("TTFT p95", Unit::Seconds, "histogram_quantile(0.95, sum by (model_id, engine, le) (rate($Ptime_to_first_token_seconds_bucket[$W])))"),
        column("Token p50", Unit::Seconds, "histogram_quantile(0.5, sum by (model_id, engine, le) (rate($Ptime_per_output_token_seconds_bucket[$W])))"),
        column("Token p95", Unit::Seconds, "histogram_quantile(0.95, sum by (model_id, engine, le) (rate($Ptime_per_output_token_seconds_bucket[$W])))"),
        column("Tokens", Unit::TokensPerSecond, "sum by (model_id, engine) (rate($Ptokens_generated_total[$W]))"),
        column("In flight", Unit::Count, "sum by (model_id, engine) ($Pactive_inferences)"),
        column("Cancelled", Unit::Ratio, "(sum by (model_id, engine) (rate($Pmodel_inference_total{status=\"cancelled\"}[$W])) or 0 * sum by (model_id, engine) (rate($Pmodel_inference_total[$W]))) / (sum by (model_id, engine) (rate($Pmodel_inference_total[$W])) > 0)"),
    ]),
    Panel::new(
        (View::Models, Draw::Stack),
        "model_outcomes",
        ("Inferences by outcome", "How do the inferences end?"),
        Unit::PerSecond,
    )
    .queries(&[query("{{status}}", "sum by (status) (rate($Pmodel_inference_total{$S}[$W]))")]),
    Panel::new(
        (View::Models, Draw::Heatmap),
        "model_first_token",
        ("First tokens over time", "How long do callers wait for the first token, and are there two groups of them?"),
        Unit::Seconds,
    )
    .queries(&[query("{{le}}", "sum by (le) (increase($Ptime_to_first_token_seconds_bucket{$S}[$W]))")]),
    lines(
        "model_first_token_quantiles",
        ("Time to first token", "How long do callers wait for the first token?"),
        Unit::Seconds,
        &[
            query("p50", "histogram_quantile(0.5, sum by (le) (rate($Ptime_to_first_token_seconds_bucket{$S}[$W])))"),
            query("p95", "histogram_quantile(0.95, sum by (le) (rate($Ptime_to_first_token_seconds_bucket{$S}[$W])))"),
            query("p99", "histogram_quantile(0.99, sum by (le) (rate($Ptime_to_first_token_seconds_bucket{$S}[$W])))"),
        ],
    ),
    lines(
        "model_per_token",
        ("Time per output token", "How fast does the text appear?"),
        Unit::Seconds,
        &[
            query("p50", "histogram_quantile(0.5, sum by (le) (rate($Ptime_per_output_token_seconds_bucket{$S}[$W])))"),
            query("p95", "histogram_quantile(0.95, sum by (le) (rate($Ptime_per_output_token_seconds_bucket{$S}[$W])))"),
        ],
    ),
    lines(
        "model_duration",
        ("Duration of inferences", "How long do inferences take?"),
        Unit::Seconds,
        &[
            query("p50", "histogram_quantile(0.5, sum by (le) (rate($Pmodel_inference_duration_seconds_bucket{$S}[$W])))"),
            query("p95", "histogram_quantile(0.95, sum by (le) (rate($Pmodel_inference_duration_seconds_bucket{$S}[$W])))"),
            query("p99", "histogram_quantile(0.99, sum by (le) (rate($Pmodel_inference_duration_seconds_bucket{$S}[$W])))"),
        ],
    ),
    Panel::new(
        (View::Models, Draw::Lines),
        "model_tokens",
        ("Tokens", "How many tokens are read, cached and generated?"),
        Unit::TokensPerSecond,
    )
    .queries(&[
        query("output", "sum(rate($Ptokens_generated_total{$S}[$W]))"),
        query("prompt", "sum(rate($Pprompt_tokens_total{$S}[$W]))"),
        query("prompt, cached", "sum(rate($Pcached_tokens_total{$S}[$W]))"),
    ]),
    lines(
        "model_in_flight",
        ("In flight", "How many inferences run at a time?"),
        Unit::Count,
        &[query("inferences", "sum($Pactive_inferences{$S})")],
    ),
    lines(
        "model_queue",
        ("Queue time", "How long do inferences wait for their engine?"),
        Unit::Seconds,
        &[
            query("p50", "histogram_quantile(0.5, sum by (le) (rate($Pmodel_queue_duration_seconds_bucket{$S}[$W])))"),
            query("p95", "histogram_quantile(0.95, sum by (le) (rate($Pmodel_queue_duration_seconds_bucket{$S}[$W])))"),
        ],
    ),
];
