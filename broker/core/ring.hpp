#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "protocol/base/assert.hpp"

namespace spoke::broker {

/// A queue in one block of memory that doubles when full, and owns none while it is empty and small
/// loads have passed: an idle session costs 24 bytes for it.
template <class T>
class Ring {
public:
    Ring() = default;
    Ring(Ring&& other) noexcept { swap(other); }
    Ring& operator=(Ring&& other) noexcept {
        Ring moved(std::move(other));
        swap(moved);
        return *this;
    }
    ~Ring() { clear(); }

    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::uint32_t size() const noexcept { return size_; }

    [[nodiscard]] T& operator[](std::uint32_t index) noexcept { return *at(index); }
    [[nodiscard]] T const& operator[](std::uint32_t index) const noexcept { return *at(index); }
    [[nodiscard]] T& front() noexcept { return *at(0); }
    [[nodiscard]] T& back() noexcept { return *at(size_ - 1); }

    T& push_back(T value) {
        if (size_ == capacity_) grow();
        T* place = std::construct_at(at(size_), std::move(value));
        ++size_;
        return *place;
    }
    void pop_front() noexcept {
        MQ_ASSERT(size_ > 0);
        std::destroy_at(at(0));
        head_ = (head_ + 1) & (capacity_ - 1);
        --size_;
        if (size_ == 0 && capacity_ > kKept) release();
    }
    void pop_back() noexcept {
        MQ_ASSERT(size_ > 0);
        --size_;
        std::destroy_at(at(size_));
    }
    /// Destroys all and gives the memory back.
    void clear() noexcept {
        while (size_ > 0) pop_back();
        if (capacity_ > 0) release();
    }

private:
    static constexpr std::uint32_t kFirst = 4;
    static constexpr std::uint32_t kKept =
        64;  // an empty ring of up to so many entries keeps its memory

    [[nodiscard]] T* at(std::uint32_t index) const noexcept {
        return data_ + ((head_ + index) & (capacity_ - 1));
    }
    void grow() {
        std::uint32_t wider = capacity_ == 0 ? kFirst : capacity_ * 2;
        T* fresh = std::allocator<T>{}.allocate(wider);
        for (std::uint32_t i = 0; i < size_; ++i) {
            std::construct_at(fresh + i, std::move(*at(i)));
            std::destroy_at(at(i));
        }
        if (capacity_ > 0) std::allocator<T>{}.deallocate(data_, capacity_);
        data_ = fresh;
        capacity_ = wider;
        head_ = 0;
    }
    void release() noexcept {
        std::allocator<T>{}.deallocate(data_, capacity_);
        data_ = nullptr;
        capacity_ = head_ = 0;
    }
    void swap(Ring& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(head_, other.head_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
    }

    T* data_ = nullptr;
    std::uint32_t head_ = 0;
    std::uint32_t size_ = 0;
    std::uint32_t capacity_ = 0;
};

}  // namespace spoke::broker
