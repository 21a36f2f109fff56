#include "broker/auth/user_edit.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace spoke::broker;

TEST_CASE("User edit: adds at the end, exchanges in place, leaves the rest", "[passwd]") {
    CHECK(with_user("", "bob", "x") == "bob:x\n");
    CHECK(with_user("amy:1\n", "bob", "x") == "amy:1\nbob:x\n");
    CHECK(with_user("amy:1", "bob", "x") == "amy:1\nbob:x\n");
    CHECK(with_user("# c\n\nbob:1:2\r\namy:1\n", "bob", "x") == "# c\n\nbob:x\namy:1\n");
    CHECK(with_user("amy:1\nbob:1", "bob", "x") == "amy:1\nbob:x\n");
    CHECK(with_user("bobby:1\n#bob:1\nbo:1\n", "bob", "x") == "bobby:1\n#bob:1\nbo:1\nbob:x\n");
    CHECK(with_user("amy:bob:1\n", "bob", "x") == "amy:bob:1\nbob:x\n");
}

TEST_CASE("User edit: deletes one line, or says that there is none", "[passwd]") {
    CHECK(without_user("# c\nbob:1\namy:1\n", "bob") == "# c\namy:1\n");
    CHECK(without_user("amy:1\nbob:1", "bob") == "amy:1\n");
    CHECK(without_user("bob:1\n", "bob") == "");
    for (auto const* text : {"", "bobby:1\n", "#bob:1\n", "bob\n", "amy:bob:1\n"})
        CHECK_FALSE(without_user(text, "bob").has_value());
}

TEST_CASE("User edit: names that would not come back from the file", "[passwd]") {
    for (auto const* name : {"bob", "b#", "a b", "b ", "\xC3\xA4"}) CHECK(can_name_a_line(name));
    for (auto const* name : {"", "a:b", "#b", " b", "\tb", "a\nb", "a\rb", "a\x7F", "\xFF"})
        CHECK_FALSE(can_name_a_line(name));
    CHECK(can_name_a_line(std::string(65'535, 'a')));
    CHECK_FALSE(can_name_a_line(std::string(65'536, 'a')));
}
