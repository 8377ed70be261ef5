#include "leat/task_image.h"

#include <iterator>
#include <utility>

namespace leat {

TaskImages::TaskImages(std::vector<TaskImage> tasks) {
  if (tasks.size() == 1) {
    tasks_.emplace<0>(std::array{std::move(tasks.front())});
  } else {
    tasks_.emplace<1>(std::move(tasks));
  }
}

void TaskImages::resize(std::size_t count) {
  if (count == 1 && empty()) {
    tasks_.emplace<0>();
  } else if (count != size()) {
    std::vector<TaskImage> tasks(std::make_move_iterator(begin()), std::make_move_iterator(end()));
    tasks.resize(count);
    *this = std::move(tasks);
  }
}

void TaskImages::push_back(TaskImage task) {
  if (size() > 1) return std::get<1>(tasks_).push_back(std::move(task));
  resize(size() + 1);
  end()[-1] = std::move(task);
}

}  // namespace leat
