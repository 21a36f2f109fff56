#pragma once

/// SPOKE_FAULT_POINT("name") marks a place where a test may kill the process: where the environment
/// says SPOKE_FAULT="name:N", the N-th time that any thread comes by there raises SIGKILL. Expands
/// to nothing unless the build defines SPOKE_FAULT_POINTS.
#ifdef SPOKE_FAULT_POINTS

namespace spoke::broker {
/// Counts a pass through the point and kills the process if it is the one. Any thread.
void pass_fault_point(char const* name) noexcept;
}  // namespace spoke::broker

#define SPOKE_FAULT_POINT(name) ::spoke::broker::pass_fault_point(name)

#else

#define SPOKE_FAULT_POINT(name) static_cast<void>(0)

#endif
