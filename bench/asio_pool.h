// Boost.Asio's thread_pool.
#pragma once

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstddef>

namespace leat::bench {

/// Shape: see TbbEnqueuePool.
template <class Job>
class AsioPool {
 public:
  explicit AsioPool(std::size_t workers) : pool_(workers) {}
  ~AsioPool() { pool_.join(); }

  class Producer {
   public:
    explicit Producer(AsioPool& pool) : executor_(pool.pool_.get_executor()) {}
    void submit(const Job& job, std::size_t count) {
      for (std::size_t i = 0; i < count; ++i) boost::asio::post(executor_, job);
    }

   private:
    boost::asio::thread_pool::executor_type executor_;
  };

 private:
  boost::asio::thread_pool pool_;
};

}  // namespace leat::bench
