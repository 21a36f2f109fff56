#include "protocol/options/option_table.hpp"

#include <catch2/catch.hpp>

using namespace std::chrono_literals;
using namespace spoke::options;

namespace {

enum class Colour { red, green };

struct Door {
    std::string address = "127.0.0.1";
    std::uint16_t port = 1883;
};

struct House {
    unsigned rooms = 3;
    std::vector<Door> doors{Door{}};
    std::size_t cellar_bytes_max = 1 << 20;
    std::chrono::milliseconds bell{250};
    std::chrono::seconds lease{60};
    bool lit = true;
    Colour colour = Colour::green;
    std::vector<std::string> names{"a", "b \"c\""};
};

void bind_door(OptionTable& table, Door& door) {
    table.text("address", door.address, "Where.")
        .number("port", door.port, {1, 65535}, "port", "Which.");
}

OptionTable options_of(House& house) {
    OptionTable table;
    table.number("rooms", house.rooms, {1, 8}, "rooms", "How many rooms.")
        .tables("door", house.doors, bind_door, "A door.");
    table.section("limits", "What it holds at most.")
        .bytes("cellar_bytes_max", house.cellar_bytes_max, {16, 1 << 30}, "Cellar.")
        .duration("bell", house.bell, {0ms, 10s}, "How long it rings.")
        .duration("lease", house.lease, {1s, 1h, "never", 0s}, "How long one stays.");
    table.section("look", "How it looks.")
        .flag("lit", house.lit, "Is there light.")
        .choice("colour", house.colour, {{"red", Colour::red}, {"green", Colour::green}}, "Paint.")
        .texts("names", house.names, "Who lives here.");
    return table;
}

std::string error_of(std::string_view toml) {
    House house;
    auto table = options_of(house);
    try {
        table.load_text(toml, "house.toml");
    } catch (OptionError const& error) {
        return error.what();
    }
    return "";
}

}  // namespace

TEST_CASE("option table: a file sets what it names and leaves the rest", "[options]") {
    House house;
    auto table = options_of(house);
    table.load_text(R"(
        rooms = 5
        [limits]
        cellar_bytes_max = "64 KiB"
        bell = "2 s"
        lease = "5 min"
        [look]
        lit = false
        colour = "red"
        names = []
    )",
                    "house.toml");
    CHECK(house.rooms == 5);
    CHECK(house.cellar_bytes_max == 65536);
    CHECK(house.bell == 2s);
    CHECK(house.lease == 5min);
    CHECK_FALSE(house.lit);
    CHECK(house.colour == Colour::red);
    CHECK(house.names.empty());
    CHECK(house.doors.size() == 1);
}

TEST_CASE("option table: tables in the file replace the default ones", "[options]") {
    House house;
    auto table = options_of(house);
    table.load_text("[[door]]\nport = 1\n[[door]]\naddress = \"::1\"\n", "house.toml");
    REQUIRE(house.doors.size() == 2);
    CHECK(house.doors[0].port == 1);
    CHECK(house.doors[0].address == "127.0.0.1");
    CHECK(house.doors[1].port == 1883);
    CHECK(house.doors[1].address == "::1");
}

TEST_CASE("option table: bytes may be a bare number, a word stands for its value", "[options]") {
    House house;
    auto table = options_of(house);
    table.load_text("[limits]\ncellar_bytes_max = 1000\nlease = \"never\"\n", "house.toml");
    CHECK(house.cellar_bytes_max == 1000);
    CHECK(house.lease == 0s);
}

TEST_CASE("option table: an error names file, line, key and what would be right", "[options]") {
    struct Case {
        std::string_view toml;
        std::string_view error;
    };
    auto wrong = GENERATE(
        Case{"\nroms = 2", "house.toml:2: roms: unknown key; the nearest known key is rooms"},
        Case{"[limits]\ncelar_bytes_max = 16",
             "house.toml:2: limits.celar_bytes_max: unknown key; the nearest known key is "
             "limits.cellar_bytes_max"},
        Case{"lease = 1",
             "house.toml:1: lease: unknown key; the nearest known key is limits.lease"},
        Case{"[limts]\nbell = \"1 s\"",
             "house.toml:1: limts: unknown key; the nearest known key is limits"},
        Case{"\n\n[[door]]\nprt = 1",
             "house.toml:4: door.prt: unknown key; the nearest known key is door.port"},
        Case{"[[door]]\nport = 65536",
             "house.toml:2: door.port: 65536 is out of range, 1 .. 65535"},
        Case{"rooms = \"many\"", "house.toml:1: rooms: must be an integer, 1 .. 8"},
        Case{"rooms = 1.5", "house.toml:1: rooms: must be an integer, 1 .. 8"},
        Case{"rooms = 0", "house.toml:1: rooms: 0 is out of range, 1 .. 8"},
        Case{"rooms = 1979-05-27", "house.toml:1: rooms: must be rooms"},
        Case{"[limits]\nbell = 5",
             "house.toml:2: limits.bell: must be a time with its unit such as \"10 s\" or "
             "\"500 ms\""},
        Case{"[limits]\nbell = \"11 s\"",
             "house.toml:2: limits.bell: 11 s is out of range, 0 s .. 10 s"},
        Case{"[limits]\nlease = \"1500 ms\"",
             "house.toml:2: limits.lease: 1500 ms is too fine, the smallest step is 1 s"},
        Case{"[limits]\nlease = \"2 h\"",
             "house.toml:2: limits.lease: 2 h is out of range, 1 s .. 1 h or \"never\""},
        Case{"[limits]\ncellar_bytes_max = \"2 GiB\"",
             "house.toml:2: limits.cellar_bytes_max: 2 GiB is out of range, 16 B .. 1 GiB"},
        Case{"[limits]\ncellar_bytes_max = \"64 kB\"",
             "house.toml:2: limits.cellar_bytes_max: must be a number of bytes such as \"64 KiB\" "
             "or 65536"},
        Case{"[look]\nlit = \"yes\"", "house.toml:2: look.lit: must be true or false"},
        Case{"[look]\ncolour = \"blue\"",
             "house.toml:2: look.colour: must be one of \"red\", \"green\""},
        Case{"[look]\nnames = \"a\"",
             "house.toml:2: look.names: must be a list of texts: [\"a\", \"b\"]"},
        Case{"[door]\nport = 1",
             "house.toml:1: door: must be a list of tables, each headed [[door]]"});
    CHECK(error_of(wrong.toml) == wrong.error);
}

TEST_CASE("option table: of several errors the first in the file is told", "[options]") {
    CHECK(error_of("rooms = 99\n[limits]\naaa = 1\n") ==
          "house.toml:1: rooms: 99 is out of range, 1 .. 8");
}

TEST_CASE("option table: what is not TOML is told with its line", "[options]") {
    CHECK_THAT(error_of("rooms = 1\nrooms == 2\n"),
               Catch::Matchers::StartsWith("house.toml:2: not TOML: "));
}

TEST_CASE("option table: an error is one line whatever it quotes", "[options]") {
    auto text = GENERATE("rooms = t\nr\n", "\"a\\nb\" = 1\n", "rooms = \"\x01\"\n", "a\x01 = 1\n");
    auto error = error_of(text);
    CHECK_THAT(error, Catch::Matchers::StartsWith("house.toml:1: "));
    CHECK(error.find_first_of("\n\r\x01") == std::string::npos);
}

TEST_CASE("option table: a file that cannot be read is named with the reason", "[options]") {
    House house;
    auto table = options_of(house);
    CHECK_THROWS_WITH(table.load_file("/nowhere/house.toml"),
                      "/nowhere/house.toml: No such file or directory");
    CHECK_THROWS_WITH(table.load_file("/"), "/: Is a directory");
}

TEST_CASE("option table: the printed form loads again and prints the same", "[options]") {
    House house;
    auto table = options_of(house);
    table.load_text(
        "rooms = 7\n[[door]]\nport = 9\n[[door]]\nport = 10\n"
        "[limits]\nlease = \"never\"\ncellar_bytes_max = 1025\n"
        "[look]\nnames = [\"back\\\\slash\", \"tab\\t\"]\n",
        "house.toml");
    auto printed = table.print();
    House again;
    auto table_again = options_of(again);
    table_again.load_text(printed, "printed.toml");
    CHECK(again.rooms == 7);
    CHECK(again.doors.size() == 2);
    CHECK(again.lease == 0s);
    CHECK(again.cellar_bytes_max == 1025);
    CHECK(again.names == house.names);
    CHECK(table_again.print() == printed);
}

TEST_CASE("option table: the printed form tells meaning, unit, range and default", "[options]") {
    House house;
    auto table = options_of(house);
    table.load_text("[limits]\nbell = \"1 s\"\n", "house.toml");
    CHECK_THAT(table.print(), Catch::Matchers::Contains("# How long it rings.\n"
                                                        "# time: 0 s .. 10 s; default \"250 ms\"\n"
                                                        "bell = \"1 s\"\n"));
    CHECK_THAT(table.print(), Catch::Matchers::Contains("\n# A door.\n[[door]]\n\n# Where.\n"
                                                        "# text; default \"127.0.0.1\"\n"
                                                        "address = \"127.0.0.1\"\n"));
}

TEST_CASE("option table: a row that may inherit has a value of its own or not", "[options]") {
    int guests = 3;
    bool own = false;
    OptionTable table;
    table.number("guests", guests, {1, 9}, "people", "How many.").may_inherit(own);
    CHECK(table.print().find("guests = \"inherit\"") != std::string::npos);
    table.load_text("guests = 4", "house.toml");
    CHECK(own);
    CHECK(guests == 4);
    CHECK(table.print().find("guests = 4") != std::string::npos);
    table.load_text("guests = \"inherit\"", "house.toml");
    CHECK_FALSE(own);
    CHECK_THROWS_WITH(table.load_text("guests = 10", "house.toml"),
                      Catch::Contains("out of range"));
    CHECK_THROWS_WITH(table.load_text("guests = \"few\"", "house.toml"),
                      Catch::Contains("inherit"));
}
