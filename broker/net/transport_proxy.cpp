#include "broker/net/transport_proxy.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "protocol/base/assert.hpp"

namespace spoke::broker {

using Status = IoResult::Status;

namespace {

std::string peer_of(ProxyHeader const& header) {
    if (header.source.empty() || header.source.starts_with("unix:")) return header.source;
    bool v6 = header.source.find(':') != std::string::npos;
    return v6 ? fmt::format("[{}]:{}", header.source, header.port)
              : fmt::format("{}:{}", header.source, header.port);
}

}  // namespace

ProxyTransport::ProxyTransport(std::unique_ptr<Transport> below, ProxySettings const& settings)
    : below_(std::move(below)), settings_(settings) {
    set_open(false);
}

IoResult ProxyTransport::read_some(std::span<std::byte> into) noexcept {
    if (!is_open() && problem_.empty()) {
        auto result = read_header();
        if (result.status != Status::done) return result;
    }
    return below_->read_some(into);
}

/// `done` when the header is whole. Looks at what the socket holds before it takes what belongs to
/// the header and nothing more.
IoResult ProxyTransport::read_header() {
    std::array<std::byte, 512> space;
    for (;;) {
        ssize_t size = ::recv(descriptor(), space.data(), space.size(), MSG_PEEK);
        if (size == 0) return {Status::closed};
        if (size < 0) {
            bool later = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
            return {later ? Status::would_block : Status::closed};
        }
        auto seen = Bytes{space}.first(static_cast<std::size_t>(size));
        auto held = header_.size();
        header_.insert(header_.end(), seen.begin(), seen.end());
        auto read = read_proxy_header(header_, settings_);
        if (auto* wrong = std::get_if<ProxyProblem>(&read)) {
            problem_ = wrong->problem;
            Buffer{}.swap(header_);
            return {Status::failed};
        }
        auto* whole = std::get_if<ProxyHeader>(&read);
        auto taken = whole ? whole->size - held : seen.size();
        // They have been seen there, so they are there.
        MQ_ASSERT(::recv(descriptor(), space.data(), taken, 0) == static_cast<ssize_t>(taken));
        if (!whole) continue;
        open(std::move(*whole));
        return {Status::done};
    }
}

void ProxyTransport::open(ProxyHeader header) {
    peer_ = peer_of(header);
    if (settings_.common_name_is_identity && !header.common_name.empty())
        identity_ = std::make_unique<std::string>(std::move(header.common_name));
    Buffer{}.swap(header_);
    set_open(true);
}

std::string ProxyTransport::failure() const {
    return problem_.empty() ? below_->failure() : fmt::format("PROXY header: {}", problem_);
}

std::unique_ptr<std::string> ProxyTransport::take_identity() {
    return std::move(identity_);
}

std::string ProxyTransport::peer() const {
    return peer_.empty() ? below_->peer() : peer_;
}

}  // namespace spoke::broker
