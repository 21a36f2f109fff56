// The conformance tests: against a spoke-broker that they start, or against any broker.
#define CATCH_CONFIG_RUNNER
#include <fmt/format.h>

#include <algorithm>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>

#include "tests/conformance/harness/target.hpp"

namespace {

constexpr auto kOnlyOwn = "[own]";  // tests that set up a broker

std::string from_environment(char const* name, std::string usual) {
    auto const* value = std::getenv(name);
    return value != nullptr ? value : std::move(usual);
}

/// Leaves out what cannot be tested at another broker, and says so.
void leave_out_own(Catch::ConfigData& config) {
    auto& specs = config.testsOrTags;
    if (specs.empty()) specs.emplace_back();
    for (auto& spec : specs) {
        auto const without = fmt::format("~{}", kOnlyOwn);
        spec.insert(0, without);
        for (auto at = spec.find(','); at != std::string::npos; at = spec.find(',', at + 1)) {
            spec.insert(at + 1, without);
        }
    }
    std::size_t skipped = 0;
    for (auto const& test : Catch::getAllTestCasesSorted(Catch::Config{})) {
        auto const& tags = test.tags;
        if (std::find(tags.begin(), tags.end(), "own") == tags.end()) continue;
        fmt::print(stderr, "skipped: {}\n", test.name);
        ++skipped;
    }
    fmt::print(stderr, "skipped {} tests that need a broker with options of their own\n", skipped);
}

}  // namespace

int main(int argc, char** argv) {
    auto& target = spoke::test::Target::instance();
    auto program = from_environment("SPOKE_CONFORMANCE_BROKER", SPOKE_BROKER_PROGRAM);
    auto host = from_environment("SPOKE_CONFORMANCE_HOST", "");
    int port = std::atoi(from_environment("SPOKE_CONFORMANCE_PORT", "1883").c_str());

    bool has_store = false;

    Catch::Session session;
    using namespace Catch::clara;
    session.cli(session.cli() | Opt(program, "path")["--broker"]("the spoke-broker to start") |
                Opt(host, "host")["--host"]("run against the broker there instead") |
                Opt(has_store)["--store"]("what is started keeps what it acknowledges") |
                Opt(port, "port")["--port"]("its port, 1883 unless given"));
    if (int error = session.applyCommandLine(argc, argv)) return error;
    if (!host.empty()) {
        target.use_other({host, static_cast<std::uint16_t>(port)});
        leave_out_own(session.configData());
    }
    if (has_store) target.use_store();
    target.use_program(program);
    int failed = session.run();
    target.stop();
    return failed;
}
