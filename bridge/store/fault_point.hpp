#pragma once

/// SPOKE_FAULT_POINT("name") marks a place where a test may kill the process: where the environment
/// says SPOKE_FAULT="name:N", the N-th time that any thread comes by there raises SIGKILL. Expands
/// to nothing unless the build defines SPOKE_FAULT_POINTS.
#ifdef SPOKE_FAULT_POINTS

namespace spoke::bridge {
/// Counts a pass through the point and kills the process if it is the one. Any thread.
void pass_fault_point(char const* name) noexcept;

/// What SPOKE_FAULT does, for a process which learns only later where it shall die. Not while
/// another thread passes a point.
void arm_fault_point(char const* name, long pass);
}  // namespace spoke::bridge

#define SPOKE_FAULT_POINT(name) ::spoke::bridge::pass_fault_point(name)

#else

#define SPOKE_FAULT_POINT(name) static_cast<void>(0)

#endif
