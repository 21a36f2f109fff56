#include "protocol/link/link.hpp"

#include <utility>

#include "protocol/link/link_impl.hpp"

namespace spoke::mqtt {

std::string_view name_of(LinkState state) noexcept {
    switch (state) {
        case LinkState::idle:
            return "idle";
        case LinkState::connecting:
            return "connecting";
        case LinkState::connected:
            return "connected";
        case LinkState::waiting:
            return "waiting";
        case LinkState::stopping:
            return "stopping";
        case LinkState::stopped:
            return "stopped";
    }
    return "unknown state";
}

void LinkObserver::on_link(LinkStatus const&) {}

LinkHub::LinkHub(boost::asio::io_context& context, std::uint64_t seed)
    : impl_(std::make_unique<Impl>(context, seed)) {}

LinkHub::~LinkHub() = default;

Link::Link(LinkHub& hub, std::shared_ptr<LinkOptions const> options, LinkObserver& observer)
    : impl_(std::make_shared<Impl>(*hub.impl_, std::move(options), observer)) {}

Link::Link(Link&&) noexcept = default;

Link& Link::operator=(Link&& other) noexcept {
    if (this == &other) return *this;
    if (impl_) impl_->detach();
    impl_ = std::move(other.impl_);
    return *this;
}

Link::~Link() {
    if (impl_) impl_->detach();
}

void Link::start(std::chrono::milliseconds delay) {
    impl_->enter([&impl = *impl_, delay] { impl.start(delay); });
}

void Link::stop(Disconnect const& packet) {
    impl_->enter([&impl = *impl_, &packet] { impl.stop(packet); });
}

void Link::publish(Publish const& packet, PublishOptions const& options) {
    impl_->enter([&] { impl_->machine().publish(packet, options, read_clocks()); });
}

void Link::subscribe(Subscribe const& packet, RequestToken token) {
    impl_->enter([&] { impl_->machine().subscribe(packet, token, read_clocks()); });
}

void Link::unsubscribe(Unsubscribe const& packet, RequestToken token) {
    impl_->enter([&] { impl_->machine().unsubscribe(packet, token, read_clocks()); });
}

bool Link::acknowledge(AckToken token, ReasonCode reason) {
    bool in_time = false;
    impl_->enter([&] { in_time = impl_->machine().acknowledge(token, reason, read_clocks()); });
    return in_time;
}

void Link::authenticate(Auth const& packet) {
    impl_->enter([&] { impl_->machine().authenticate(packet, read_clocks()); });
}

void Link::cut(Cut how) {
    impl_->enter([&impl = *impl_, how] { impl.cut(how); });
}

void Link::hold_reading(bool hold) {
    impl_->enter([&impl = *impl_, hold] { impl.hold_reading(hold); });
}

LinkState Link::state() const noexcept {
    return impl_->state();
}

ClientMachine const& Link::machine() const noexcept {
    return impl_->machine();
}

}  // namespace spoke::mqtt
