//! The panic handler of a static library without std: it stops.
//!
//! Behind a feature, because an application in Rust brings its own handler. Nothing on the pick path reaches it; on the
//! control path only a bug of ours would.

#[panic_handler]
fn stop(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
