#pragma once

#include <string>

#include "protocol/codec/property_fields.hpp"
#include "protocol/codec/reader.hpp"

namespace spoke::mqtt {

template <class Number>
requires std::integral<Number> || std::same_as<Number, Qos>
void store(Property const& property, std::optional<Number>& field) {
    field = static_cast<Number>(property.number);
}

inline void store(Property const& property, std::optional<std::string>& field) {
    field = as_text(property.bytes);
}

inline void store(Property const& property, std::optional<Buffer>& field) {
    field.emplace(property.bytes.begin(), property.bytes.end());
}

inline void store(Property const& property, std::vector<std::uint32_t>& field) {
    field.push_back(property.number);
}

inline void store(Property const& property, UserProperties& field) {
    field.push_back({std::string{as_text(property.bytes)}, std::string{property.value}});
}

/// Puts a property where `packet` keeps it.
void store_property(Property const& property, auto& packet) {
    for_each_property(packet, [&property](PropertyId id, auto& field) {
        if (id == property.id) store(property, field);
    });
}

/// Reads a property field into `packet`; errors stay in `reader`.
void read_properties(Reader& reader, Place place, auto& packet) {
    PropertyReader properties{reader, place};
    for (Property property; properties.next(property);) store_property(property, packet);
}

}  // namespace spoke::mqtt
