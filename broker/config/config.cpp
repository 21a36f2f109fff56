#include "broker/config/config.hpp"

namespace spoke::broker {

namespace {

/// Whether only processes of this machine can reach it.
bool is_local(std::string const& address) {
    return address == "localhost" || address == "::1" || address.starts_with("127.") ||
           address.starts_with("unix:");
}

}  // namespace

bool allows_anonymous(ListenerConfig const& listener, AuthConfig const& all) {
    switch (listener.auth.anonymous.value_or(all.anonymous)) {
        case Anonymous::no:
            return false;
        case Anonymous::local:
            return is_local(listener.address);
        case Anonymous::yes:
            return true;
    }
    return false;
}

}  // namespace spoke::broker
