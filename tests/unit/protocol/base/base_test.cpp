#include <catch2/catch.hpp>
#include <unordered_set>

#include "protocol/base/assert.hpp"
#include "protocol/base/bytes.hpp"
#include "protocol/base/strong.hpp"
#include "protocol/base/time.hpp"
#include "tests/support/dies.hpp"

namespace spoke {

TEST_CASE("MQ_ASSERT: a broken one ends the process, a kept one does nothing") {
    auto two = 2;
    CHECK(test::dies([&] { MQ_ASSERT(two == 3); }));
    CHECK_FALSE(test::dies([&] { MQ_ASSERT(two == 2); }));
}

TEST_CASE("Bytes: text and bytes are two views of the same memory") {
    std::string_view text{"a\0\xFF", 3};
    auto bytes = as_bytes(text);
    REQUIRE(bytes.size() == 3);
    CHECK(bytes[2] == std::byte{0xFF});
    CHECK(as_text(bytes).data() == text.data());
    CHECK(to_buffer(text) == Buffer{std::byte{'a'}, std::byte{0}, std::byte{0xFF}});
    CHECK(as_bytes({}).empty());
}

TEST_CASE("Strong: compares and hashes like its number") {
    using Id = Strong<int, struct IdTag>;
    CHECK(Id{1} == Id{1});
    CHECK(Id{1} < Id{2});
    CHECK(Id{} == Id{0});
    std::unordered_set<Id> ids{Id{1}, Id{2}, Id{1}};
    CHECK(ids.size() == 2);
}

TEST_CASE("Clocks: the wall clock shows this century and the steady one never goes back") {
    auto first = read_clocks();
    auto second = read_clocks();
    CHECK(first.wall > WallTime{std::chrono::hours{24 * 365 * 30}});
    CHECK(second.steady >= first.steady);
}

}  // namespace spoke
