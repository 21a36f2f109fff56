#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "tests/fuzz/entry.hpp"
#include "tests/fuzz/samples.hpp"
#include "tests/support/bad_utf8.hpp"
#include "tests/support/packet_table.hpp"
#include "tests/support/random_packet.hpp"
#include "tests/support/seed.hpp"

namespace spoke::fuzz {
namespace {

using namespace spoke::mqtt;

constexpr auto kMutations = 150'000;

/// Bytes that mean something somewhere: lengths, borders, wildcards, property ids.
constexpr unsigned char kTelling[] = {0x00, 0x01, 0x02, 0x04, 0x10, 0x20, 0x23, 0x24, 0x26, 0x2B,
                                      0x2F, 0x7F, 0x80, 0x81, 0xC0, 0xED, 0xF4, 0xFE, 0xFF};

class Mutator {
public:
    /// Of the rows of the packet table, or of samples.
    explicit Mutator(std::mt19937_64& random) : random_(random) {
        for (auto const& row : test::packet_table()) rows_.push_back(row.bytes());
    }
    Mutator(std::mt19937_64& random, std::vector<Buffer> samples)
        : random_(random), rows_(std::move(samples)) {}

    /// A row with one to four changes.
    Buffer next() {
        auto input = any_row();
        for (auto left = 1 + below(4); left > 0; --left) change(input);
        return input;
    }

private:
    std::size_t below(std::size_t end) { return random_() % end; }
    Buffer const& any_row() { return rows_[below(rows_.size())]; }
    std::byte any_byte() {
        return static_cast<std::byte>(below(2) == 0 ? kTelling[below(std::size(kTelling))]
                                                    : below(256));
    }
    static auto place(Buffer& input, std::size_t at) {
        return input.begin() + static_cast<std::ptrdiff_t>(at);
    }

    void change(Buffer& input) {
        auto at = below(input.size() + 1);
        switch (below(6)) {
            case 0:
                if (at < input.size()) input[at] = any_byte();
                return;
            case 1:
                if (at < input.size()) input[at] ^= static_cast<std::byte>(1u << below(8));
                return;
            case 2:
                input.insert(place(input, at), any_byte());
                return;
            case 3:
                input.erase(place(input, at),
                            place(input, std::min(input.size(), at + 1 + below(3))));
                return;
            case 4:
                input.resize(at);
                return;
            default: {
                Buffer const& other = any_row();
                auto from = below(other.size() + 1);
                input.resize(at);
                input.insert(input.end(), other.begin() + static_cast<std::ptrdiff_t>(from),
                             other.end());
            }
        }
    }

    std::mt19937_64& random_;
    std::vector<Buffer> rows_{};
};

void check_all(Bytes input, Version version, Sender sender) {
    for (auto const& finding :
         {check_decode(input, version, sender), check_decode_body(input, version, sender)}) {
        if (finding) FAIL(*finding << ": " << test::hex_of(as_text(input)));
    }
}

}  // namespace

TEST_CASE("Fuzz replay: every row of the packet table, in every version, from both sides") {
    for (auto const& row : test::packet_table()) {
        CAPTURE(row.name);
        for (auto version : {Version::v3_1, Version::v3_1_1, Version::v5}) {
            for (auto sender : {Sender::client, Sender::server})
                check_all(row.bytes(), version, sender);
        }
    }
}

TEST_CASE("Fuzz replay: rows with random changes") {
    auto seed = test::seed_or(6);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    Mutator mutator{random};
    for (auto round = 0; round < kMutations; ++round) {
        auto input = mutator.next();
        auto version = Version{static_cast<std::uint8_t>(3 + random() % 3)};
        check_all(input, version, random() % 2 == 0 ? Sender::client : Sender::server);
    }
}

TEST_CASE("Fuzz replay: streams of rows with random changes, in chunks") {
    auto seed = test::seed_or(7);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    Mutator mutator{random};
    for (auto round = 0; round < kMutations / 20; ++round) {
        Buffer input{static_cast<std::byte>(random())};
        for (auto left = random() % 8; left > 0; --left) {
            auto next = random() % 4 == 0 ? mutator.next()
                                          : test::packet_row("PUBLISH 3.1.1 QoS 1").bytes();
            input.insert(input.end(), next.begin(), next.end());
        }
        auto finding = check_framing(input);
        if (finding) FAIL(*finding << ": " << test::hex_of(as_text(input)));
    }
}

TEST_CASE("Fuzz replay: random filters and names") {
    auto seed = test::seed_or(8);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    for (auto round = 0; round < kMutations; ++round) {
        auto text = test::random_topic(random, true) + '\n' + test::random_topic(random, false);
        if (random() % 4 == 0) text = "$share/g/" + text;
        if (random() % 4 == 0) text[random() % text.size()] = static_cast<char>(random());
        auto finding = check_topic_filter(as_bytes(text));
        if (finding) FAIL(*finding << ": " << test::hex_of(text));
    }
}

namespace {

struct Check {
    std::string_view name;
    Finding (*function)(Bytes);
    int rounds;
};

constexpr Check kChecks[] = {{"topic_filter", check_topic_filter, 20'000},
                             {"websocket_frames", check_websocket_frames, 20'000},
                             {"websocket_upgrade", check_websocket_upgrade, 10'000},
                             {"proxy_header", check_proxy_header, 10'000},
                             {"password_file", check_password_file, 10'000},
                             {"scram_file", check_scram_file, 10'000},
                             {"acl_file", check_acl_file, 10'000},
                             {"scram_messages", check_scram_messages, 10'000},
                             {"configuration", check_configuration, 1'000},
                             {"store_record", check_store_record, 50'000},
                             {"store_log", check_store_log, 2'000},
                             {"damaged_log", check_damaged_log, 1'000},
                             {"store_table", check_store_table, 2'000},
                             {"store_manifest", check_store_manifest, 5'000},
                             {"store_format_file", check_store_format_file, 5'000},
                             {"request_target", check_request_target, 20'000},
                             {"command_body", check_command_body, 20'000},
                             {"event_operation", check_event_operation, 20'000},
                             {"device_body", check_device_body, 20'000},
                             {"token", check_token, 20'000},
                             {"key_set", check_key_set, 2'000},
                             {"api_keys", check_api_keys, 10'000},
                             {"stream", check_stream, 2'000}};

}  // namespace

TEST_CASE("Fuzz replay: samples, as they are and with random changes") {
    auto seed = test::seed_or(9);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    for (auto const& check : kChecks) {
        CAPTURE(check.name);
        auto samples = samples_for(check.name);
        auto run = [&](Buffer const& input) {
            auto finding = check.function(input);
            if (finding) FAIL(*finding << ": " << test::hex_of(as_text(input)));
        };
        for (auto const& sample : samples) run(sample);
        Mutator mutator{random, std::move(samples)};
        for (auto round = 0; round < check.rounds; ++round) run(mutator.next());
    }
}

TEST_CASE("Fuzz entry: no input at all is fine too") {
    CHECK_FALSE(check_decode({}, Version::v5, Sender::client));
    CHECK_FALSE(check_decode_body({}, Version::v5, Sender::client));
    CHECK_FALSE(check_framing({}));
    CHECK_FALSE(check_topic_filter({}));
    for (auto const& check : kChecks) CHECK_FALSE(check.function({}));
}

}  // namespace spoke::fuzz
