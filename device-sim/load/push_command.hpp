#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace spoke::sim {

/// Registers the modes that load what pushes events over HTTP below `load`.
void add_push_modes(CLI::App& load, std::function<int()>& chosen);

}  // namespace spoke::sim
