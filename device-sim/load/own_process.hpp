#pragma once

namespace spoke::sim::load {

/// Pins this process to a processor; -1: does not.
/// Errors  throws LoadFailure if it may not run there.
void pin_to(int cpu);

/// As many descriptors as we may have: up to the hard limit, beyond it if the process may raise
/// that.
void raise_open_files();

}  // namespace spoke::sim::load
