#pragma once

#include <catch2/catch.hpp>
#include <string>

#include "protocol/codec/decode_error.hpp"

namespace spoke::test {

/// A decode error in one line, for CHECKs which compare two of them.
[[nodiscard]] inline std::string describe(mqtt::ReasonCode reason, std::string_view rule) {
    return std::string{mqtt::name_of(reason)} + ": " + std::string{rule};
}

[[nodiscard]] inline std::string describe(mqtt::DecodeError const& error) {
    return describe(error.reason, error.rule);
}

template <class T>
[[nodiscard]] std::string describe(mqtt::Result<T> const& result) {
    return result ? "good" : describe(result.error());
}

}  // namespace spoke::test

/// Lets CHECK(result) print what went wrong.
template <class T>
struct Catch::StringMaker<spoke::mqtt::Result<T>> {
    static std::string convert(spoke::mqtt::Result<T> const& result) {
        return spoke::test::describe(result);
    }
};
