#include "broker/auth/scram.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "broker/auth/sha256.hpp"
#include "protocol/base/assert.hpp"
#include "protocol/base/base64.hpp"
#include "protocol/topic/utf8.hpp"

namespace spoke::broker {
namespace {

/// Walks the attributes of a message, "n=bob" each, which commas part.
class Attributes {
public:
    explicit Attributes(std::string_view text) noexcept : rest_(text) {}

    [[nodiscard]] bool is_at_end() const noexcept { return done_; }

    /// What is left, from the next attribute on.
    [[nodiscard]] std::string_view rest() const noexcept { return done_ ? "" : rest_; }

    /// The value of the next attribute if it has this name; else nothing is taken.
    [[nodiscard]] std::optional<std::string_view> take(char name) noexcept {
        if (done_ || rest_.size() < 2 || rest_[0] != name || rest_[1] != '=') return std::nullopt;
        return take_next().substr(2);
    }

    /// The next attribute whatever its name; false if it has not the form of one with a value.
    [[nodiscard]] bool skip() noexcept {
        auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
        if (done_) return false;
        auto attribute = take_next();
        return attribute.size() > 2 && is_letter(attribute[0]) && attribute[1] == '=';
    }

private:
    std::string_view take_next() noexcept {
        auto end = rest_.find(',');
        auto attribute = rest_.substr(0, end);
        done_ = end == std::string_view::npos;
        rest_.remove_prefix(done_ ? rest_.size() : end + 1);
        return attribute;
    }

    std::string_view rest_;
    bool done_ = false;
};

/// A name without its "=2C" and "=3D"; nullopt if another '=' stands in it.
std::optional<std::string> decoded_name(std::string_view text) {
    std::string name;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '=') {
            name += text[at];
            continue;
        }
        auto code = text.substr(at, 3);
        if (code != "=2C" && code != "=3D") return std::nullopt;
        name += code == "=2C" ? ',' : '=';
        at += 2;
    }
    return name;
}

bool is_nonce(std::string_view text) noexcept {
    auto is_printable = [](char c) { return c > ' ' && c <= '~' && c != ','; };
    return !text.empty() && text.size() <= ScramExchange::kNonceSizeMax &&
           std::all_of(text.begin(), text.end(), is_printable);
}

std::string exclusive_or(std::string bytes, std::string_view other) {
    MQ_ASSERT(bytes.size() == other.size());
    for (std::size_t at = 0; at < bytes.size(); ++at)
        bytes[at] = static_cast<char>(bytes[at] ^ other[at]);
    return bytes;
}

/// The parts of a client-first message (RFC 5802, 7): views into it.
struct ClientFirst {
    std::string_view gs2_header;                   // "n,," and the like
    std::optional<std::string_view> authorize_as;  // still encoded
    std::string_view bare;
    std::string_view user;  // still encoded
    std::string_view nonce;
};

struct ClientFinal {
    std::string_view without_proof;
    std::string_view channel;
    std::string_view nonce;
    std::string_view proof;
};

/// What is wrong with the message, or nothing and `parts` are filled.
std::string_view split(std::string_view message, ClientFirst& parts) {
    if (message.starts_with("p=")) return "channel binding is not offered";
    if (!message.starts_with("n,") && !message.starts_with("y,"))
        return "client-first does not begin with n, or y,";
    Attributes attributes{message.substr(2)};
    parts.authorize_as = attributes.take('a');
    if (!parts.authorize_as) {
        if (!attributes.rest().starts_with(',')) return "client-first has no whole header";
        attributes = Attributes{message.substr(3)};
    }
    parts.bare = attributes.rest();
    parts.gs2_header = message.substr(0, message.size() - parts.bare.size());
    if (attributes.take('m')) return "client-first demands an extension that is not known";
    auto user = attributes.take('n');
    if (!user) return "client-first has no user name";
    auto nonce = attributes.take('r');
    if (!nonce || !is_nonce(*nonce)) return "client-first has no valid nonce";
    while (!attributes.is_at_end()) {
        if (!attributes.skip()) return "client-first has an extension without form";
    }
    parts.user = *user;
    parts.nonce = *nonce;
    return {};
}

std::string_view split(std::string_view message, ClientFinal& parts) {
    Attributes attributes{message};
    auto channel = attributes.take('c');
    auto nonce = attributes.take('r');
    if (!channel || !nonce) return "client-final has no channel data or no nonce";
    for (;;) {
        auto before = message.size() - attributes.rest().size();
        if (auto proof = attributes.take('p')) {
            if (!attributes.is_at_end()) return "client-final goes on behind the proof";
            parts = {message.substr(0, before - 1), *channel, *nonce, *proof};
            return {};
        }
        if (attributes.is_at_end()) return "client-final has no proof";
        if (!attributes.skip()) return "client-final has an extension without form";
    }
}

}  // namespace

ScramExchange::ScramExchange(std::shared_ptr<ScramFile const> users, std::string server_nonce)
    : users_(std::move(users)), nonce_(std::move(server_nonce)) {
    MQ_ASSERT(users_ && is_nonce(nonce_));
}

ScramExchange::Step ScramExchange::step(std::string_view message) {
    if (state_ == State::ended) return refuse("the exchange has ended");
    if (message.size() > kMessageSizeMax) return refuse("the message is too long");
    if (!mqtt::is_valid_utf8(message)) return refuse("the message is not UTF-8");
    return state_ == State::client_first ? on_client_first(message) : on_client_final(message);
}

ScramExchange::Step ScramExchange::on_client_first(std::string_view message) {
    ClientFirst parts;
    if (auto fault = split(message, parts); !fault.empty()) return refuse(fault);
    auto user = decoded_name(parts.user);
    if (!user || !is_prepared(*user)) return refuse("the user name is not a prepared one");
    if (parts.authorize_as && decoded_name(*parts.authorize_as) != user)
        return refuse("the client asks to act as somebody else");
    user_ = std::move(*user);
    found_ = users_->find(user_);
    gs2_header_ = parts.gs2_header;
    nonce_.insert(0, parts.nonce);
    auto server_first = fmt::format("r={},s={},i={}", nonce_, to_base64(found_.verifier.salt),
                                    found_.verifier.iterations);
    auth_message_ = fmt::format("{},{}", parts.bare, server_first);
    state_ = State::client_final;
    return {Verdict::proceed, std::move(server_first), {}};
}

ScramExchange::Step ScramExchange::on_client_final(std::string_view message) {
    ClientFinal parts;
    if (auto fault = split(message, parts); !fault.empty()) return refuse(fault);
    if (parts.channel != to_base64(gs2_header_)) return refuse("the channel data do not fit");
    if (parts.nonce != nonce_) return refuse("the nonce is not the one that was sent");
    auto proof = from_base64(parts.proof);
    if (!proof || proof->size() != kSha256Size)
        return refuse("the proof is not 32 bytes in base64");
    auto signed_text = fmt::format("{},{}", auth_message_, parts.without_proof);
    auto const& verifier = found_.verifier;
    auto client_key =
        exclusive_or(std::move(*proof), hmac_sha256(verifier.stored_key, signed_text));
    auto fits = is_same_secret(sha256(client_key), verifier.stored_key);
    if (!fits || !found_.is_known) return refuse("unknown user or wrong password");
    state_ = State::ended;
    return {Verdict::accepted,
            fmt::format("v={}", to_base64(hmac_sha256(verifier.server_key, signed_text))),
            {}};
}

ScramExchange::Step ScramExchange::refuse(std::string_view reason) {
    state_ = State::ended;
    return {Verdict::refused, {}, reason};
}

}  // namespace spoke::broker
