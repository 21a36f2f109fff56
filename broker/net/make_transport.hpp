#pragma once

#include <memory>

#include "broker/net/transport.hpp"

namespace spoke::broker {

class Listener;

/// The layers that the listener's settings ask for, over an accepted socket, which they own.
[[nodiscard]] std::unique_ptr<Transport> make_transport(Listener& listener, int descriptor);

}  // namespace spoke::broker
