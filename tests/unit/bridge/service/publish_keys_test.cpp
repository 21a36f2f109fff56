#include "bridge/service/publish_keys.hpp"

#include <catch2/catch.hpp>

namespace spoke::bridge {

TEST_CASE("publish keys: tell another message from the same", "[bridge][publish_keys]") {
    PublishKeys keys;
    keys.remember("t/1", "k", "one");
    CHECK_FALSE(keys.is_other("t/1", "k", "one"));
    CHECK(keys.is_other("t/1", "k", "two"));
    CHECK_FALSE(keys.is_other("t/2", "k", "two"));
    CHECK_FALSE(keys.is_other("t/1", "k2", "two"));
    keys.forget("t/1", "k");
    CHECK_FALSE(keys.is_other("t/1", "k", "two"));
}

TEST_CASE("publish keys: the oldest is forgotten beyond the bound", "[bridge][publish_keys]") {
    PublishKeys keys;
    for (std::size_t i = 0; i < PublishKeys::kRemembered; ++i) {
        keys.remember("t", std::to_string(i), "one");
    }
    keys.remember("t", "0", "one");  // no other one
    CHECK(keys.is_other("t", "0", "two"));
    keys.remember("t", "new", "one");
    CHECK_FALSE(keys.is_other("t", "0", "two"));
    CHECK(keys.is_other("t", "1", "two"));
    CHECK(keys.size() == PublishKeys::kRemembered);
}

TEST_CASE("publish keys: those of very long topics are not remembered", "[bridge][publish_keys]") {
    PublishKeys keys;
    for (auto size : {1'022U, 1'023U}) {  // and a byte between, and the key
        std::string topic(size, 't');
        keys.remember(topic, "k", "one");
        CHECK(keys.is_other(topic, "k", "two") == (size == 1'022U));
    }
    CHECK(keys.size() == 1);
}

}  // namespace spoke::bridge
