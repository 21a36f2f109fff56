#pragma once

#include <stdexcept>

namespace spoke::sim::load {

/// The run cannot go on: no broker there, a connection refused, a limit of the machine. One line
/// for the user.
class LoadFailure : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

}  // namespace spoke::sim::load
