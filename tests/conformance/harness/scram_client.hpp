#pragma once

#include <string>
#include <string_view>

namespace spoke::test {

/// The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding.
class ScramClient {
public:
    ScramClient(std::string user, std::string password)
        : user_(std::move(user)), password_(std::move(password)) {}

    /// The client-first message.
    [[nodiscard]] std::string begins() const { return "n,," + first_bare(); }
    /// The client-final message for a server-first one, with the proof of the password.
    /// Errors  std::runtime_error if it is none.
    [[nodiscard]] std::string answers(std::string_view server_first);
    /// The server-final message that proves that the server knows the user; behind answers().
    [[nodiscard]] std::string const& wanted() const noexcept { return wanted_; }

private:
    [[nodiscard]] std::string first_bare() const { return "n=" + user_ + ",r=" + kNonce; }

    static constexpr auto kNonce = "rOprNGfwEbeRWgbNEkqO";
    std::string user_;
    std::string password_;
    std::string wanted_;
};

}  // namespace spoke::test
