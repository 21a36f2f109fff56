#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "tests/conformance/harness/peer.hpp"
#include "tests/conformance/harness/target.hpp"

namespace spoke::test {

/// One run of one test: its clients and what keeps it apart from all others on the same broker.
/// Client ids and topics that it makes hold a word that no other run has.
class Conversation {
public:
    /// With the usual broker.
    Conversation();
    /// With a spoke-broker of this setup; the test has the tag [own]. `listener` counts those of
    /// the setup.
    explicit Conversation(Setup const& setup, std::size_t listener = 0);

    /// The client of that name; made at the first call.
    [[nodiscard]] Peer& client(std::string const& name);
    /// Connected, with a clean start.
    [[nodiscard]] Peer& connected(std::string const& name, mqtt::Version version);
    /// Connected and subscribed at QoS 2, or the one given, to all that topic() makes.
    [[nodiscard]] Peer& watcher(std::string const& name, mqtt::Version version,
                                mqtt::Qos qos = qos2);
    /// Connected, with a session that outlives the connection.
    [[nodiscard]] Peer& resuming(std::string const& name, mqtt::Version version);

    /// `rest` below a level of this run: "c17x42/a/b".
    [[nodiscard]] std::string topic(std::string_view rest) const;
    /// 1 to 23 letters and digits that no other run has.
    [[nodiscard]] std::string const& word() const noexcept { return word_; }
    [[nodiscard]] Endpoint const& endpoint() const noexcept { return endpoint_; }

private:
    std::string word_;
    Endpoint endpoint_;
    std::map<std::string, std::unique_ptr<Peer>> clients_;
};

}  // namespace spoke::test
