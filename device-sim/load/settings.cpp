#include "device-sim/load/settings.hpp"

namespace spoke::sim::load {

ModeRow const& row_of(Mode mode) noexcept {
    return kModes[static_cast<std::size_t>(mode)];
}

Settings defaults_of(ModeRow const& row) {
    Settings settings;
    settings.mode = row.mode;
    settings.peers = row.peers;
    settings.qos = row.qos;
    settings.window = row.window;
    settings.rate = row.rate;
    settings.messages = row.messages;
    if (row.mode == Mode::subs) settings.subscriptions = 100'000;
    return settings;
}

}  // namespace spoke::sim::load
