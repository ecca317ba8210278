//! How an enum of engines implements a port: each method is that of its variant.

/// `delegate! { Port for Engine [Variant, …] { fn method(argument: Type) -> Answer; … } }`. Methods are async, but for
/// those that are written `sync fn`, which come first. Variants have the attributes that they have in the enum.
macro_rules! delegate {
    (
        $port:ident for $engine:ident $variants:tt {
            $(sync fn $plain:ident($($given:ident: $type:ty),* $(,)?) -> $result:ty;)*
            $(fn $method:ident($($argument:ident: $kind:ty),* $(,)?) -> $answer:ty;)*
        }
    ) => {
        impl $port for $engine {
            $(
                fn $plain(&self, $($given: $type),*) -> $result {
                    delegate!(@plain $engine $variants self $plain ($($given),*))
                }
            )*
            $(
                async fn $method(&self, $($argument: $kind),*) -> $answer {
                    delegate!(@waited $engine $variants self $method ($($argument),*))
                }
            )*
        }
    };
    (@plain $engine:ident [$($(#[$on:meta])* $variant:ident),+] $self:ident $method:ident $arguments:tt) => {
        match $self {
            $($(#[$on])* $engine::$variant(engine) => engine.$method $arguments,)+
        }
    };
    (@waited $engine:ident [$($(#[$on:meta])* $variant:ident),+] $self:ident $method:ident $arguments:tt) => {
        match $self {
            $($(#[$on])* $engine::$variant(engine) => engine.$method $arguments.await,)+
        }
    };
}
