#pragma once

namespace spoke::bridge {

/// `spoke-bridge audit verify` and `audit show`: the audit trail in the file of a store, whether a
/// bridge runs on it or not. `argv[0]` is "audit".
/// Out     the exit code: 0; 1 if the trail is not what it was (verify); 2 if it could not be read
///         or the command line is wrong, which has been told on stderr in one line.
[[nodiscard]] int audit_command(int argc, char const* const* argv);

}  // namespace spoke::bridge
