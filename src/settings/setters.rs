//! The setters of options.

/// Defines setters: each is a `#[must_use] pub fn` that takes the options, changes them as its body says, and returns
/// them.
///
/// ```text
/// setters! {
///     /// Sets the interval of ticks.
///     with_tick(tick: Duration) { self.tick = tick }
/// }
/// ```
macro_rules! setters {
    ($(
        $(#[$attribute:meta])*
        $setter:ident($($argument:ident: $type:ty),+) { self.$($change:tt)+ }
    )+) => {
        $(
            $(#[$attribute])*
            #[must_use]
            pub fn $setter(mut self, $($argument: $type),+) -> Self {
                self.$($change)+;
                self
            }
        )+
    };
}
pub(crate) use setters;
