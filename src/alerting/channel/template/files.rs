//! Loads `*.tmpl` files, whose templates every channel can call, beside the default templates.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use crate::alerting::{RoutingError, glob, template::Library};

/// Templates by Alertmanager's names, such as `slack.default.title`: users' files call them.
const DEFAULTS: &str = include_str!("default.tmpl");

/// The templates of `*.tmpl` files, as Alertmanager's `templates` lists them.
///
/// The templates of a channel call them by name: `{{ template "my.title" . }}`. A clone shares the loaded templates.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use llm_observatory::alerting::{SlackOptions, TemplateFiles};
///
/// let directory = std::env::temp_dir().join("observatory-doc-templates");
/// std::fs::create_dir_all(&directory)?;
/// let source = r#"{{ define "my.title" }}{{ .Status | toUpper }}: {{ .CommonLabels.alertname }}{{ end }}"#;
/// std::fs::write(directory.join("slack.tmpl"), source)?;
///
/// let files = TemplateFiles::load([directory.join("*.tmpl")])?;
/// let slack = SlackOptions::new("https://hooks.slack.com/services/T0/B0/token")
///     .with_template_files(files)
///     .with_template("title", r#"{{ template "my.title" . }}"#);
/// # let _ = slack;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct TemplateFiles {
    loaded: Option<Arc<Loaded>>,
}

struct Loaded {
    sources: Vec<(PathBuf, String)>,
    library: Library,
}

impl TemplateFiles {
    /// Reads and parses the files that match these paths; `*` and `?` match within one component of a path. A template
    /// that two files define is the later file's. A path with `*` or `?` may match no file.
    ///
    /// # Errors
    /// If a file cannot be read or a template in it does not parse. The error names the file and the line.
    pub fn load<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Result<Self, RoutingError> {
        let error = |problem: String| RoutingError::new("alerting", "template_files", problem);
        let mut sources = Vec::new();
        let mut library = Library::default();
        for pattern in paths {
            let pattern = pattern.as_ref();
            let mut files = glob::expand(pattern);
            if files.is_empty() && !pattern.to_string_lossy().contains(['*', '?']) {
                // Reading the file gives the reason.
                files.push(pattern.to_owned());
            }
            for path in files {
                let place = path.display().to_string();
                let source = fs::read_to_string(&path)
                    .map_err(|problem| error(format!("cannot read {place}: {problem}")))?;
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                library
                    .add(&name, &place, &source)
                    .map_err(|problem| error(problem.to_string()))?;
                sources.push((path, source));
            }
        }
        let loaded = (!sources.is_empty()).then(|| Arc::new(Loaded { sources, library }));
        Ok(Self { loaded })
    }

    /// No files: templates can call the default templates only.
    #[must_use]
    pub const fn none() -> Self {
        Self { loaded: None }
    }

    /// Returns `true` if no file was loaded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.loaded.is_none()
    }

    /// Returns these files, or the default files if there are none.
    pub(in super::super) fn or_default(&self, default: &Self) -> Self {
        if self.is_empty() { default } else { self }.clone()
    }

    /// The paths of the loaded files.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let sources = self.loaded.iter().flat_map(|loaded| &loaded.sources);
        sources.map(|(path, _)| path.as_path())
    }

    /// The templates of the files, then the default templates.
    pub(super) fn libraries(&self) -> Vec<&Library> {
        let own = self.loaded.iter().map(|loaded| &loaded.library);
        own.chain([defaults()]).collect()
    }
}

/// The default templates.
pub(super) fn defaults() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let mut library = Library::default();
        // A test parses the constant; without the library, a call of a default template fails with a note.
        if let Err(error) = library.add("default.tmpl", "default.tmpl", DEFAULTS) {
            tracing::error!(%error, "the default templates do not parse");
        }
        library
    })
}

/// Equal files have equal paths and contents.
impl PartialEq for TemplateFiles {
    fn eq(&self, other: &Self) -> bool {
        let sources = |files: &Self| files.loaded.as_ref().map(|loaded| loaded.sources.clone());
        sources(self) == sources(other)
    }
}

impl Eq for TemplateFiles {}

impl fmt::Debug for TemplateFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.paths()).finish()
    }
}
