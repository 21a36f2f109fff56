#pragma once

#include <cstdint>
#include <string>

#include "tests/conformance/harness/broker_process.hpp"

namespace spoke::test {

/// A broker that a client can connect to.
struct Endpoint {
    std::string host;
    std::uint16_t port = 0;
};

/// What the tests run against: either another broker by host and port, or spoke-broker, of which
/// one process is started for each setup that a test asks for and kept until the run ends.
/// One per process, for its only thread.
class Target {
public:
    [[nodiscard]] static Target& instance();

    void use_program(std::string path) { program_ = std::move(path); }
    /// The programs that are started keep what they acknowledge.
    void use_store() noexcept { has_store_ = true; }
    void use_other(Endpoint endpoint) { other_ = std::move(endpoint); }
    [[nodiscard]] std::string const& program() const noexcept { return program_; }

    /// Whether this is our own broker: where the specification leaves a choice its answer is known.
    [[nodiscard]] bool is_own() const noexcept { return other_.host.empty(); }

    /// A broker with its usual options.
    [[nodiscard]] Endpoint usual();
    /// The spoke-broker that was set up so. A test that calls it carries the tag [own].
    [[nodiscard]] BrokerProcess& own(Setup const& setup);

    /// Ends all processes that were started.
    void stop();

private:
    std::string program_;
    bool has_store_ = false;
    Endpoint other_;
};

/// Whether expectations hold that pin what the specification leaves open.
[[nodiscard]] inline bool is_own_broker() {
    return Target::instance().is_own();
}

}  // namespace spoke::test
