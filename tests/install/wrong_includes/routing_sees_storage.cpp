#include "leat/uuid.h"
