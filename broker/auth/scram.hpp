#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "broker/auth/scram_file.hpp"

namespace spoke::broker {

inline constexpr std::string_view kScramMethod = "SCRAM-SHA-256";

/// The server's side of one SCRAM-SHA-256 exchange (RFC 5802, 7677), without channel binding.
/// States: awaits client-first, awaits client-final, ended. No I/O, no randomness. One thread.
///
///     client-first   n,,n=bob,r=CLIENTNONCE                  -> proceed, server-first
///     client-final   c=biws,r=CLIENTNONCE+SERVERNONCE,p=...  -> accepted, server-final
class ScramExchange {
public:
    enum class Verdict { proceed, accepted, refused };

    struct Step {
        Verdict verdict = Verdict::refused;
        std::string data{};         // authentication data for the client; empty if refused
        std::string_view reason{};  // why it was refused, for the log; static storage
    };

    static constexpr std::size_t kMessageSizeMax = 4096;
    static constexpr std::size_t kNonceSizeMax = 512;

    /// `server_nonce`: fresh and not to be guessed, printable ASCII without ',', not empty: 18
    /// random bytes in base64 do. `users` is not null.
    ScramExchange(std::shared_ptr<ScramFile const> users, std::string server_nonce);

    /// Takes the client's next message. After a step that did not say proceed, all are refused.
    [[nodiscard]] Step step(std::string_view message);

    /// Who the client says it is: after the first step; proved only by `accepted`.
    [[nodiscard]] std::string const& user() const noexcept { return user_; }

private:
    enum class State { client_first, client_final, ended };

    [[nodiscard]] Step on_client_first(std::string_view message);
    [[nodiscard]] Step on_client_final(std::string_view message);
    [[nodiscard]] Step refuse(std::string_view reason);

    std::shared_ptr<ScramFile const> users_;
    std::string nonce_;  // the server's, then both
    std::string user_;
    std::string gs2_header_;
    std::string auth_message_;  // client-first-bare,server-first
    ScramFile::Found found_;
    State state_ = State::client_first;
};

}  // namespace spoke::broker
