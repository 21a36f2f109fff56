#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bridge/api/http_message.hpp"

namespace spoke::bridge {

/// Which web pages may read answers: those of the origins in the list ("https://app.example"), or
/// all ("*"). Credentials are headers here, never cookies, so none are allowed along.
class Cors {
public:
    explicit Cors(std::vector<std::string> origins) : origins_(std::move(origins)) {}

    /// Whether pages of `origin` are in the list.
    [[nodiscard]] bool allows(std::string_view origin) const;

    /// Adds to an answer what a page of `origin` needs to read it.
    void add_headers(std::string_view origin, HttpResponse& response) const;

private:
    std::vector<std::string> origins_;
};

}  // namespace spoke::bridge
