//! Composes a configuration of its layers: defaults or preset, file, environment. Collects every problem.

use std::{collections::BTreeSet, fmt, path::PathBuf, sync::Arc};

use serde::Serialize;

use super::{
    Config, ConfigError, ConfigProblem, Origin, Preset,
    env::{self, Environment},
    file::{self, FileText},
    tree::{self, Node, ProblemKind, Value, from_tree, to_tree},
};

/// Problems beyond this number are not reported. Each problem costs a conversion of the tree.
const MAX_PROBLEMS: usize = 100;
/// Steps in which keys are renamed and problems are removed.
const MAX_STEPS: usize = 10_000;
/// Sections of the file that require a feature.
const FEATURES: [(&str, &str); 2] = [("alerting", "alerting"), ("server", "server")];

/// The layers that a configuration was loaded from. All layers are equal: they do not belong to the options.
#[derive(Clone, Default)]
pub(crate) struct Loaded(pub(super) Option<Arc<Node>>);

impl PartialEq for Loaded {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// The tree has the values of secrets.
impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Loaded" } else { "Code" })
    }
}

/// A configuration in composition.
pub(super) struct Composed {
    pub(super) config: Config,
    pub(super) tree: Node,
    pub(super) problems: Vec<ConfigProblem>,
}

/// Composes a configuration with a file that replaces the file that the environment names.
pub(super) fn compose_with(environment: &impl Environment, path: PathBuf) -> Composed {
    match FileText::read(path) {
        Ok(file) => compose(environment, Some(file)),
        Err(problem) => {
            let empty = FileText {
                path: Arc::default(),
                text: String::new(),
            };
            let mut composed = compose(environment, Some(empty));
            composed.problems.insert(0, problem);
            composed
        }
    }
}

/// Composes a configuration. `file` replaces the file that the environment names.
pub(super) fn compose(environment: &impl Environment, file: Option<FileText>) -> Composed {
    let mut problems = Vec::new();
    let mut notices = Vec::new();
    let file = match file {
        Some(file) => Some(file),
        None => environment.file().and_then(|path| {
            let text = FileText::read(path);
            text.map_err(|problem| problems.push(problem)).ok()
        }),
    };
    let mut file = file.and_then(|file| {
        let variables = environment.keys().into_iter().filter_map(|key| {
            let value = environment.get(&key)?;
            Some((key, value))
        });
        match file.parse(variables, &mut notices) {
            Ok(tree) => tree,
            Err(problem) => {
                problems.push(problem);
                None
            }
        }
    });
    let defaults = to_tree(&Config::default(), &Origin::Default);
    if let Some(file) = &mut file {
        file::rewrite(file, &defaults);
    }
    let preset = preset(environment, file.as_mut(), &mut problems);
    let config = match preset {
        Some(preset) => Config::preset(preset),
        None => env::base(environment),
    };
    let mut tree = defaults;
    let origin = preset.map_or(Origin::Default, |preset| Origin::Preset(preset.as_str()));
    tree.refresh(to_tree(&config, &origin), Some(&origin));
    let mut composed = Composed {
        config,
        tree,
        problems,
    };
    if let Some(file) = file {
        composed.apply_file(file);
    }
    composed.config.notices.append(&mut notices);
    env::apply(environment, &mut composed);
    composed.validate();
    composed
}

/// Returns the preset that the environment names, or else the file.
fn preset(
    environment: &impl Environment,
    file: Option<&mut Node>,
    problems: &mut Vec<ConfigProblem>,
) -> Option<Preset> {
    const EXPECTED: &str = "`development`, `production`, `vps` or `enterprise`";
    let node = file.and_then(|file| file.take("preset"));
    let variable = environment.get(env::PRESET).filter(|name| !name.is_empty());
    let (key, name, origin, shown) = match (&node, variable) {
        (_, Some(name)) => {
            let shown = format!("{name:?}");
            (
                env::PRESET,
                name,
                Origin::Variable(env::PRESET.into()),
                shown,
            )
        }
        (Some(node), None) => match &node.value {
            Value::Null => return None,
            Value::Text(name) => ("preset", name.clone(), node.origin.clone(), node.shown()),
            _ => ("preset", String::new(), node.origin.clone(), node.shown()),
        },
        (None, None) => return None,
    };
    let preset = Preset::named(&name);
    if preset.is_none() {
        let error = ConfigError::Invalid {
            key: key.to_owned(),
            value: shown,
            expected: EXPECTED.into(),
        };
        problems.push(ConfigProblem::new(error, origin));
    }
    preset
}

impl Composed {
    /// Returns the configuration, or every problem.
    pub(super) fn into_result(mut self) -> Result<Config, ConfigError> {
        match self.problems.len() {
            0 => {
                self.config.loaded = Loaded(Some(Arc::new(self.tree)));
                Ok(self.config)
            }
            1 if self.problems[0].is_complete() => Err(self.problems.remove(0).error),
            _ => Err(ConfigError::Problems(self.problems)),
        }
    }

    pub(super) fn push(&mut self, error: ConfigError, origin: Origin) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(ConfigProblem::new(error, origin));
        }
    }

    /// Records that a layer has changed the options.
    pub(super) fn refresh(&mut self, origin: &Origin) {
        self.tree.refresh(options(&self.config), Some(origin));
    }

    /// Puts the file over the defaults or the preset. A value that does not fit is a problem and has no effect.
    fn apply_file(&mut self, file: Node) {
        let base = self.tree.clone();
        if let (Value::Map(..), Value::Map(..)) = (&self.tree.value, &file.value) {
            self.tree.merge(file);
        } else {
            let error = ConfigError::Invalid {
                key: "the configuration file".to_owned(),
                value: file.shown(),
                expected: "a map of sections such as `prometheus:`".into(),
            };
            self.push(error, file.origin);
        }
        for _ in 0..MAX_STEPS {
            match from_tree::<Config>(&self.tree) {
                Ok(config) => {
                    self.config = config;
                    break;
                }
                Err(problem) => {
                    if !self.solve(problem, &base) {
                        break;
                    }
                }
            }
        }
        self.tree.refresh(options(&self.config), None);
    }

    /// Renames a key, or reports a problem and removes its value. Returns `false` if nothing can be changed.
    fn solve(&mut self, problem: tree::Problem, base: &Node) -> bool {
        let tree::Problem { path, kind } = problem;
        let node = self.tree.at(&path).clone();
        let key = key(&path, &node);
        let error = match kind {
            ProblemKind::Renamed(to) => return self.rename(&path, to, node),
            ProblemKind::InFile(to) => match secret(&node) {
                Ok(secret) => {
                    let node = Node {
                        value: Value::Secret(secret),
                        ..node
                    };
                    return self.rename(&path, to, node);
                }
                Err(error) => ConfigError::Invalid {
                    key,
                    value: format!("{} ({error})", node.shown()),
                    expected: "the path of a file that can be read".into(),
                },
            },
            ProblemKind::Unknown(nearest) => match feature(&path) {
                Some(feature) => ConfigError::Invalid {
                    key,
                    value: "set".to_owned(),
                    expected: format!("absent, or the feature `{feature}` added").into(),
                },
                None => ConfigError::UnknownKey {
                    key,
                    nearest: nearest.map(str::to_owned),
                },
            },
            ProblemKind::Invalid(expected) => ConfigError::Invalid {
                key,
                value: node.shown(),
                expected: expected.into(),
            },
            ProblemKind::Message(problem) => ConfigError::Value { key, problem },
        };
        self.push(error, node.origin);
        self.tree.reset(&path, Some(base)) || self.remove(&path)
    }

    fn remove(&mut self, path: &[String]) -> bool {
        let Some((key, parent)) = path.split_last() else {
            return false;
        };
        let parent = self.tree.at_mut(parent);
        parent.is_some_and(|parent| parent.take(key).is_some())
    }

    fn rename(&mut self, path: &[String], to: &str, mut node: Node) -> bool {
        let Some((from, parent)) = path.split_last() else {
            return false;
        };
        let Some(parent) = self.tree.at_mut(parent) else {
            return false;
        };
        if parent.take(from).is_none() {
            return false;
        }
        node.written = Some(from.as_str().into());
        match parent.get_mut(to) {
            Some(old) => old.merge(node),
            None => parent.insert(to, node),
        }
        true
    }

    /// Validates the options. An invalid value is a problem and is replaced by its default, so that the next problem is
    /// found, too.
    fn validate(&mut self) {
        let defaults = to_tree(&Config::default(), &Origin::Default);
        let mut seen = BTreeSet::new();
        while let Err(mut error) = self.config.validate() {
            let path = error.key().map(path_of).unwrap_or_default();
            let node = self.tree.at(&path);
            if let (Some(reference), ConfigError::Invalid { value, .. }) =
                (&node.reference, &mut error)
            {
                *value = format!("{reference:?}");
            }
            let origin = if path.is_empty() {
                Origin::Code
            } else {
                node.origin.clone()
            };
            self.push(error, origin);
            if !seen.insert(path.clone()) || path.is_empty() {
                break;
            }
            if !self.tree.reset(&path, Some(&defaults)) {
                break;
            }
            let Ok(mut config) = from_tree::<Config>(&self.tree) else {
                break;
            };
            config.notices = std::mem::take(&mut self.config.notices);
            self.config = config;
        }
    }
}

fn options(config: &impl Serialize) -> Node {
    to_tree(config, &Origin::Default)
}

/// Returns the path in the tree of a key in an error of a check.
fn path_of(key: &str) -> Vec<String> {
    let mut path = tree::steps(key);
    if path.len() > 3
        && path[0] == "alerting"
        && path[1] == "channels"
        && !["enabled", "send_resolved", "fallback", "kind"].contains(&path[3].as_str())
    {
        let kind = path[2].clone();
        path.splice(3..3, ["kind".to_owned(), kind]);
    }
    path
}

/// Returns the key of a value as the user wrote it.
fn key(path: &[String], node: &Node) -> String {
    let mut path = path.to_vec();
    if let [area, channels, _, kind, _, ..] = path.as_slice()
        && area == "alerting"
        && channels == "channels"
        && kind == "kind"
    {
        path.drain(3..5);
    }
    match &node.written {
        Some(written) if written.contains('.') => return written.to_string(),
        Some(written) => {
            if let Some(last) = path.last_mut() {
                *last = written.to_string();
            }
        }
        None => {}
    }
    let mut key = String::new();
    for step in path {
        if step.bytes().all(|byte| byte.is_ascii_digit()) {
            key.push('[');
            key.push_str(&step);
            key.push(']');
        } else {
            if !key.is_empty() {
                key.push('.');
            }
            key.push_str(&step);
        }
    }
    key
}

/// Returns the feature that a section of the file requires.
fn feature(path: &[String]) -> Option<&'static str> {
    let [section] = path else {
        return None;
    };
    let found = FEATURES.iter().find(|(name, _)| name == section);
    found.map(|(_, feature)| *feature)
}

/// Reads a secret from its file, without the end of the line.
fn secret(node: &Node) -> Result<String, String> {
    let Value::Text(path) = &node.value else {
        return Err("not a path".to_owned());
    };
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
