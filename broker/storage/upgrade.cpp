#include "broker/storage/upgrade.hpp"

namespace spoke::broker {

Upgrades const& known_upgrades() {
    static Upgrades const upgrades{};  // version 1 is the first
    return upgrades;
}

}  // namespace spoke::broker
