#include "tests/conformance/harness/target.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <memory>

namespace spoke::test {

namespace {

std::map<Setup, std::unique_ptr<BrokerProcess>>& brokers() {
    static std::map<Setup, std::unique_ptr<BrokerProcess>> all;
    return all;
}

}  // namespace

Target& Target::instance() {
    static Target target;
    return target;
}

Endpoint Target::usual() {
    if (!is_own()) return other_;
    return {"127.0.0.1", own({}).ports().front()};
}

namespace {

Setup with_store(Setup setup) {
    setup.more.insert(0, "persistence.directory = \"{dir}/store\"\n");
    return setup;
}

}  // namespace

BrokerProcess& Target::own(Setup const& setup) {
    if (!is_own()) FAIL("this test needs the tag [own]: it sets up a broker");
    auto& broker = brokers()[setup];
    if (!broker)
        broker = std::make_unique<BrokerProcess>(program_, has_store_ ? with_store(setup) : setup);
    return *broker;
}

void Target::stop() {
    brokers().clear();
}

}  // namespace spoke::test
