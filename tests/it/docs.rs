//! Tests of `docs/`: the list of metrics is the catalog, and each default rule has a runbook.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use llm_observatory::catalog::{CATALOG, Metric};

/// The variable that makes the test write `docs/metrics.md` instead of comparing it.
const UPDATE: &str = "UPDATE_DOCS";

const METRICS_HEAD: &str = "# Metrics

Metrics that the observatory records, from the catalog in the code (`catalog::CATALOG`). The names in the first table
follow the configured prefix (`prometheus.prefix`), which is `llm_router_` by default.
";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
    ]
    .map(|name| root().join(name))
    .into();
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages
}

#[test]
fn the_page_of_metrics_lists_the_catalog() {
    let mut page = METRICS_HEAD.to_owned();
    for (title, is_prefixed) in [
        ("With the prefix", true),
        ("Conventions, and the observatory itself", false),
    ] {
        write!(
            page,
            "\n## {title}\n\n| Metric | Kind | Meaning |\n|---|---|---|\n"
        )
        .unwrap();
        let mut metrics: Vec<&Metric> = CATALOG
            .iter()
            .filter(|metric| metric.is_prefixed == is_prefixed)
            .collect();
        metrics.sort_by_key(|metric| metric.name);
        for Metric {
            name, kind, help, ..
        } in metrics
        {
            let help = help.replace('|', "\\|");
            writeln!(page, "| `{name}` | {} | {help} |", kind.as_str()).unwrap();
        }
    }
    let path = root().join("docs/metrics.md");
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, &page).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == page,
        "docs/metrics.md differs from the catalog: {UPDATE}=1 cargo test --test it docs"
    );
}

#[cfg(all(feature = "server", feature = "alerting"))]
#[test]
fn every_default_rule_links_to_a_runbook_that_the_observatory_serves() {
    use llm_observatory::{
        Config, Observatory, Preset,
        alerting::{DefaultRules, Rule},
        preset_rules,
    };
    use tracing_subscriber::Registry;

    let mut config = Config::default()
        .with_listen("127.0.0.1:0".parse().unwrap())
        .with_prefix("own_");
    config.alerting.external_url = Some("https://monitor.example/".to_owned());
    let (_, observatory) = Observatory::builder(config).build::<Registry>().unwrap();
    let address = observatory.listen_address().unwrap();
    let options = DefaultRules::new("own_")
        .with_hourly_cost_usd(1.0)
        .with_daily_cost_usd(1.0);
    let presets = [
        Preset::Development,
        Preset::Production,
        Preset::Vps,
        Preset::Enterprise,
    ];
    let groups = presets.map(|preset| preset_rules(preset, &options));
    let rules = groups.iter().flatten().flat_map(|group| &group.rules);
    let ids: BTreeSet<&str> = rules.map(Rule::name).collect();
    assert!(ids.len() > 20, "{ids:?}");
    let (_, list) = crate::server::get(address, "/runbooks", "");
    let list = String::from_utf8(list).unwrap();
    for id in ids {
        let (head, body) = crate::server::get(address, &format!("/runbooks/{id}"), "");
        assert!(head.starts_with("http/1.0 200"), "{id}: {head}");
        let body = String::from_utf8(body).unwrap();
        assert!(!body.contains("llm_router_"), "{id}: {body}");
        assert!(list.contains(&format!("href=\"runbooks/{id}\"")), "{id}");
    }
    for rule in observatory
        .alerts()
        .rules()
        .iter()
        .flat_map(|group| &group.rules)
    {
        let url = rule.annotations.as_ref().unwrap().get("runbook_url");
        let expected = format!("https://monitor.example/runbooks/{}", rule.name);
        assert_eq!(url, Some(&expected));
    }
}

/// Returns the `PromQL` blocks of a page.
#[cfg(feature = "alerting")]
fn queries(page: &str) -> impl Iterator<Item = &str> {
    let blocks = page.split("```promql\n").skip(1);
    blocks.filter_map(|rest| rest.split("\n```").next())
}

#[cfg(feature = "alerting")]
#[test]
fn every_query_of_a_runbook_can_be_evaluated() {
    let config = llm_observatory::Config::default().without_server();
    let builder = llm_observatory::Observatory::builder(config);
    let (_, observatory) = builder.build::<tracing_subscriber::Registry>().unwrap();
    let mut count = 0;
    for page in pages() {
        for query in queries(&fs::read_to_string(&page).unwrap()) {
            let evaluated = observatory.query(query, std::time::SystemTime::now());
            assert!(
                evaluated.is_ok(),
                "{}: {query}: {evaluated:?}",
                page.display()
            );
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
}
