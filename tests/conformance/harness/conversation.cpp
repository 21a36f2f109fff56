#include "tests/conformance/harness/conversation.hpp"

#include <fmt/format.h>
#include <unistd.h>

namespace spoke::test {

namespace {

std::string new_word() {
    static int count = 0;
    return fmt::format("c{}x{}", static_cast<int>(::getpid()), ++count);
}

}  // namespace

Conversation::Conversation() : word_(new_word()), endpoint_(Target::instance().usual()) {}

Conversation::Conversation(Setup const& setup, std::size_t listener)
    : word_(new_word()),
      endpoint_{"127.0.0.1", Target::instance().own(setup).ports().at(listener)} {}

Peer& Conversation::client(std::string const& name) {
    auto& client = clients_[name];
    if (!client) client = std::make_unique<Peer>(endpoint_, name + word_);
    return *client;
}

Peer& Conversation::connected(std::string const& name, mqtt::Version version) {
    return client(name).sends(connect(version)).gets(connack());
}

Peer& Conversation::watcher(std::string const& name, mqtt::Version version, mqtt::Qos qos) {
    return connected(name, version).sends(subscribe(1, topic("#"), qos)).gets(suback(1));
}

Peer& Conversation::resuming(std::string const& name, mqtt::Version version) {
    return client(name).sends(connect(version).resume()).gets(connack());
}

std::string Conversation::topic(std::string_view rest) const {
    return fmt::format("{}/{}", word_, rest);
}

}  // namespace spoke::test
