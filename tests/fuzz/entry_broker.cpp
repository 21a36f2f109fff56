#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "broker/auth/acl_file.hpp"
#include "broker/auth/password_file.hpp"
#include "broker/auth/scram.hpp"
#include "broker/auth/text_lines.hpp"
#include "broker/config/config.hpp"
#include "broker/config/option_table.hpp"
#include "broker/net/proxy_header.hpp"
#include "broker/net/websocket_frames.hpp"
#include "broker/net/websocket_upgrade.hpp"
#include "protocol/base/assert.hpp"
#include "tests/fuzz/entry.hpp"

namespace spoke::fuzz {
namespace {

using namespace spoke::broker;

bool is_one_line(std::string_view text) {
    return !text.empty() && std::ranges::none_of(text, [](unsigned char character) {
        return character < 0x20 || character == 0x7F;
    });
}

// --- WebSocket ---

struct Frames {
    std::string payload{};
    std::string pings{};
    std::optional<CloseCode> close{};
    friend bool operator==(Frames const&, Frames const&) = default;
};

Frames read_frames(Bytes stream, std::size_t piece) {
    FrameReader reader;
    Frames frames;
    while (!stream.empty() && !frames.close) {
        auto taken = stream.first(std::min(piece, stream.size()));
        stream = stream.subspan(taken.size());
        Buffer own(taken.begin(), taken.end());
        auto unwrapped = reader.unwrap(own);
        if (unwrapped.size > own.size()) return {.payload = "more than came"};
        frames.payload += as_text(Bytes{own}.first(unwrapped.size));
        frames.close = unwrapped.close;
        if (auto ping = reader.take_ping()) frames.pings = as_text(ping->view());  // the latest
    }
    return frames;
}

struct Upgrade {
    std::size_t used = 0;
    std::optional<UpgradeAnswer> answer{};
};

Upgrade read_upgrade(Bytes stream, std::size_t piece, WebSocketSettings const& settings) {
    UpgradeReader reader;
    Upgrade upgrade;
    while (!stream.empty() && !upgrade.answer) {
        auto taken = stream.first(std::min(piece, stream.size()));
        auto step = reader.read(taken, settings);
        upgrade.used += step.used;
        upgrade.answer = std::move(step.answer);
        stream = stream.subspan(taken.size());
    }
    return upgrade;
}

Finding check_answer(UpgradeAnswer const& answer) {
    constexpr std::array kStatuses{101U, 400U, 403U, 404U, 405U, 426U, 431U};
    if (std::ranges::find(kStatuses, answer.status) == kStatuses.end()) return "an unknown status";
    if (answer.is_accepted() != answer.problem.empty()) return "refused without a problem";
    auto begin = "HTTP/1.1 " + std::to_string(answer.status) + ' ';
    if (!answer.reply.starts_with(begin)) return "the reply has another status";
    if (answer.reply.find("\r\n\r\n") == std::string::npos) return "the reply has no end";
    auto head = answer.reply.substr(0, answer.reply.find("\r\n\r\n"));
    for (std::size_t at = 0; at < head.size(); ++at) {
        auto character = static_cast<unsigned char>(head[at]);
        bool ends_line = head.compare(at, 2, "\r\n") == 0;
        if (ends_line) ++at;
        if (!ends_line && (character < 0x20 || character == 0x7F)) return "control in the reply";
    }
    return std::nullopt;
}

}  // namespace

Finding check_websocket_frames(Bytes input) {
    if (input.empty()) return std::nullopt;
    auto piece = static_cast<std::size_t>(input[0]) + 1;
    auto stream = input.subspan(1);
    auto whole = read_frames(stream, std::max<std::size_t>(1, stream.size()));
    if (whole.payload.size() > stream.size()) return "more payload than bytes";
    if (read_frames(stream, piece) != whole) return "pieces are other frames than the whole";
    if (read_frames(stream, 1) != whole) return "single bytes are other frames than the whole";
    return std::nullopt;
}

Finding check_websocket_upgrade(Bytes input) {
    if (input.empty()) return std::nullopt;
    auto piece = static_cast<std::size_t>(input[0]) + 1;
    WebSocketSettings settings;
    settings.request_size_max = 1024;
    settings.headers_max = 12;
    if (piece % 4 == 0) settings.origins = {"https://a.example"};
    auto stream = input.subspan(1);
    auto whole = read_upgrade(stream, std::max<std::size_t>(1, stream.size()), settings);
    auto pieces = read_upgrade(stream, piece, settings);
    if (whole.answer.has_value() != pieces.answer.has_value()) return "pieces have another end";
    if (!whole.answer) return std::nullopt;
    if (whole.answer->status != pieces.answer->status) return "pieces have another answer";
    if (whole.answer->is_accepted() && whole.used != pieces.used) return "pieces use other bytes";
    return check_answer(*whole.answer);
}

// --- PROXY ---

Finding check_proxy_header(Bytes input) {
    if (input.empty()) return std::nullopt;
    auto choice = std::to_integer<unsigned>(input[0]);
    ProxySettings settings;
    constexpr std::array kVersions{ProxyProtocol::any, ProxyProtocol::v1, ProxyProtocol::v2};
    settings.version = kVersions[choice % 3];
    settings.size_max = choice % 2 == 0 ? 1024 : 100;
    settings.common_name_is_identity = choice % 5 == 0;
    auto stream = input.subspan(1);
    auto whole = read_proxy_header(stream, settings);
    auto const* header = std::get_if<ProxyHeader>(&whole);
    if (header != nullptr) {
        if (header->size == 0 || header->size > stream.size()) return "a header of a wrong size";
        if (header->size > std::max<std::size_t>(107, settings.size_max)) return "a long header";
    }
    for (std::size_t size = 0; size < std::min<std::size_t>(stream.size(), 300); ++size) {
        auto part = read_proxy_header(stream.first(size), settings);
        auto const* early = std::get_if<ProxyHeader>(&part);
        if (early != nullptr && (header == nullptr || early->size != header->size)) {
            return "the front of it is another header";
        }
        if (early != nullptr && size < header->size) return "understood before its end";
        bool is_problem = std::holds_alternative<ProxyProblem>(part);
        if (is_problem && std::get<ProxyProblem>(part).problem.empty()) return "no problem named";
        if (is_problem && !std::holds_alternative<ProxyProblem>(whole)) {
            return "the front of it is refused";
        }
        if (header != nullptr && early == nullptr && size >= header->size) {
            return "the header alone is not understood";
        }
    }
    return std::nullopt;
}

// --- Files ---

namespace {

template <class File>
Finding check_file(FileResult<File> const& file) {
    if (file) return std::nullopt;
    if (!is_one_line(file.error().text()))
        return "the error is not one line: " + file.error().text();
    return std::nullopt;
}

constexpr std::string_view kSecret = "0123456789abcdef";

/// What stands behind the ':' of each line that says something.
std::vector<std::string_view> values_of(std::string_view text) {
    std::vector<std::string_view> values;
    TextLines lines{text};
    while (auto line = lines.next()) {
        auto colon = line->find(':');
        if (colon != std::string_view::npos) values.push_back(line->substr(colon + 1));
    }
    return values;
}

}  // namespace

Finding check_password_file(Bytes input) {
    auto text = as_text(input);
    auto file = PasswordFile::parse(text, "passwords", {.bytes_max = 100'000, .users_max = 100});
    if (auto finding = check_file(file)) return finding;
    auto values = values_of(text);
    if (file && file->users() != values.size()) return "not every line is a user";
    for (auto value : values) {
        auto hash = parse_password_hash(value);
        if (!hash) {
            if (file) return "a hash is taken in a file but not alone";
            continue;
        }
        auto written = to_text(*hash);
        auto again = parse_password_hash(written);
        if (!again || to_text(*again) != written) return "a hash says something else when written";
    }
    return std::nullopt;
}

Finding check_scram_file(Bytes input) {
    auto text = as_text(input);
    auto file = ScramFile::parse(text, "scram", kSecret, {.bytes_max = 100'000, .users_max = 100});
    if (auto finding = check_file(file)) return finding;
    if (!file) return std::nullopt;
    if (file->users() != values_of(text).size()) return "not every line is a user";
    TextLines lines{text};
    while (auto line = lines.next()) {
        auto colon = line->find(':');
        auto user = line->substr(0, colon);
        auto found = file->find(user);
        if (!found.is_known) return "a user is not found";
        std::string written = "u:" + to_text(found.verifier);
        auto again = ScramFile::parse(written, "again", kSecret);
        if (!again) return "a verifier is not taken when written: " + again.error().text();
        if (!(again->find("u").verifier == found.verifier)) return "a verifier has changed";
    }
    return std::nullopt;
}

Finding check_acl_file(Bytes input) {
    auto file = AclFile::parse(as_text(input), "acl", {.bytes_max = 100'000, .rules_max = 200});
    if (auto finding = check_file(file)) return finding;
    if (!file) return std::nullopt;
    constexpr std::array kTopics{"a", "a/b", "bob", "c/bob", "c/+", "/", "$SYS/x", "d/c1/u"};
    auto const nobody = file->access_of("+", std::nullopt);
    for (std::optional<std::string_view> user :
         {std::optional<std::string_view>{}, std::optional<std::string_view>{"bob"},
          std::optional<std::string_view>{"#"}}) {
        for (std::string_view id : {"c1", "+", "a/b", ""}) {
            auto access = file->access_of(id, user);
            for (std::string_view topic : kTopics) {
                if (topic.find('+') != std::string_view::npos) continue;
                (void)access->may_publish(topic);
                // A filter without wildcards is its topic.
                if (access->may_subscribe(topic) != access->may_receive(topic)) {
                    return "a topic may be received but not subscribed to, or the other way round";
                }
                // Nobody may do more for a name that holds a wildcard.
                if (id == "+" && !user &&
                    access->may_receive(topic) != nobody->may_receive(topic)) {
                    return "access changes from one time to the next";
                }
            }
            for (auto filter : {"#", "+/bob", "a/#", "$SYS/#"}) (void)access->may_subscribe(filter);
        }
    }
    return std::nullopt;
}

// --- SCRAM ---

Finding check_scram_messages(Bytes input) {
    static auto const users = [] {
        auto verifier = make_scram_verifier("a password nobody guesses", kSecret, 4096);
        auto file = ScramFile::parse("bob:" + to_text(verifier), "scram", kSecret);
        MQ_ASSERT(file.has_value());
        return std::make_shared<ScramFile const>(std::move(*file));
    }();
    ScramExchange exchange{users, "3rfcNHYJY1ZVvWVs7j"};
    using Verdict = ScramExchange::Verdict;
    auto text = as_text(input);
    bool has_ended = false;
    for (int count = 0; count < 4; ++count) {
        auto end = text.find('\n');
        auto step = exchange.step(text.substr(0, end));
        if (step.verdict == Verdict::accepted) return "accepted without the password";
        if (step.verdict == Verdict::proceed) {
            if (has_ended || count > 0) return "goes on behind its end";
            if (!step.data.starts_with("r=")) return "a first message without a nonce";
        } else {
            if (!step.data.empty()) return "says something to whom it refuses";
            if (!is_one_line(step.reason)) return "refuses without a reason";
            has_ended = true;
        }
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    }
    return std::nullopt;
}

// --- Configuration ---

Finding check_configuration(Bytes input) {
    Config config;
    auto table = option_table(config);
    try {
        table.load_text(as_text(input), "broker.toml");
        check(config);
    } catch (options::OptionError const& error) {
        if (!is_one_line(error.what())) {
            return std::string{"the error is not one line: "} + error.what();
        }
        return std::nullopt;
    }
    auto printed = table.print();
    Config again;
    auto table_again = option_table(again);
    try {
        table_again.load_text(printed, "again.toml");
    } catch (options::OptionError const& error) {
        return std::string{"what is printed does not load: "} + error.what();
    }
    if (table_again.print() != printed) return "what is printed says something else";
    return std::nullopt;
}

}  // namespace spoke::fuzz
