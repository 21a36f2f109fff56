#include <fmt/format.h>
#include <malloc.h>

#include <catch2/catch.hpp>

#include "bridge/command/command_tracker.hpp"
#include "tests/unit/bridge/support/fixture.hpp"

namespace spoke::bridge::test {
namespace {

/// A world that keeps nothing, so that only the tracker's memory is counted.
class Nothing : public TrackerPort {
public:
    void save(Command const& command, SavePurpose purpose) override {
        saves.emplace_back(command.id, purpose);
    }
    bool takes_writes() const override { return true; }
    std::optional<Command> recall(std::string_view) const override { return std::nullopt; }
    SendResult send(Command const&, Copy const&, Now const&) override { return SendResult::done; }
    void changed(Command const&) override {}
    void discarded(CommandId const&) override {}

    std::vector<std::pair<CommandId, SavePurpose>> saves;
};

std::size_t allocated() {
    auto const info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

constexpr auto kState =
    R"({"at":1763838000700,"boot":7,"up":905130,"last_n":{"lock":118,"info":97,"config":3},)"
    R"("lock":"unlocked","ride":"r_9f31","batt":{"v":3.96,"pct":86,"chg":0,"solar":1},)"
    R"("pos":{"lat":31.23041,"lon":121.47370,"acc":6,"age":4,"sat":9},)"
    R"("net":{"rssi":-87,"rat":"LTE-M","cell":"460-00-1234-5678"},"speed":0,"alarm":false,)"
    R"("fw":"2.4.1","cfg_v":12,"jrn":[["c_01J0000000000000000000000A","ok",118],)"
    R"(["c_01J0000000000000000000000B","refused:late",117]]})";

}  // namespace

// Not under a sanitizer, whose allocator counts otherwise: run it in the preset "fast".
TEST_CASE("memory: of a known device and of an open command", "[.][memory]") {
    constexpr std::size_t kDevices = 100'000;
    constexpr std::size_t kCommands = 20'000;
    FakeClock clock;
    Nothing out;
    out.saves.reserve(kCommands);
    DeviceRegistry registry{{}};
    CommandTracker tracker{{}, registry, counting_random()};
    tracker.on_broker(true, clock.now, out);
    std::vector<std::string> names;
    for (std::size_t i = 0; i < kDevices; ++i) names.push_back(fmt::format("bike-{:06}", i));

    auto const before = allocated();
    for (auto const& name : names) {
        Birth birth{.on = true, .boot = 7, .up = 1830, .fw = "2.4.1", .hw = "OC33"};
        registry.on_birth(name, birth, {clock.now});
        registry.on_state(name, *parse_state(kState), {clock.now});
    }
    auto const with_devices = allocated();
    for (std::size_t i = 0; i < kCommands; ++i) {
        auto request = unlock(names[i]);
        request.args = R"({"ride":"r_9f31c2"})";
        request.condition = R"({"lock":"unlocked"})";
        request.ref = fmt::format("r_{:06}", i);
        Caller caller{"user:1234567", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                      "192.168.100.20:40312"};
        auto key = fmt::format("tester:4b1c9f31-0000-4000-8000-{:012}", i);
        auto made = tracker.submit(request, caller, key, clock.now, out);
        REQUIRE(std::holds_alternative<CommandTracker::Accepted>(made));
    }
    for (auto const& [id, purpose] : out.saves) {
        tracker.on_saved(id, purpose, true, clock.now, out);
    }
    clock.advance(10s);
    for (std::size_t i = 0; i < kCommands; ++i) {
        Receipt receipt{.id = out.saves[i].first, .client = names[i]};
        tracker.on_receipt(receipt, 1, clock.now, out);
        receipt.step = ReceiptStep::acked;
        tracker.on_receipt(receipt, 1, clock.now, out);
    }
    auto const with_commands = allocated();
    auto const per_device = (with_devices - before) / kDevices;
    auto const per_command = (with_commands - with_devices) / kCommands;
    WARN(per_device << " bytes per device, " << per_command << " per command");
    CHECK(per_device <= 1024);
    CHECK(per_command <= 2048);
}

}  // namespace spoke::bridge::test
